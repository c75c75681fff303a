"""Publishing book `sources`: who keeps keys, who has others, who is closed."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.cli import books
from services.cli.__main__ import command_line
from services.cli.books import default_body, with_fresh_keys
from services.cli.keptkeys import going_back, keeping_keys
from services.intake.rules import SourceRules
from services.intake.sources.source import Source
from services.runtime.errors import RulesInvalid
from services.runtime.rulebook import book_version, parse_book
from tests.unit.test_cli_books import SlowBroker, at

__all__ = ["at"]  # a fixture

Command = Callable[..., str]
KEY = '{prefix: abcdefg%s, sha256: "' + "a" * 64 + '"}'


def rules(body: str) -> SourceRules:
    parsed: SourceRules = parse_book("sources", body, SourceRules).rules
    return parsed


def before(*names: str) -> SourceRules:
    return rules("sources:\n" + "".join(f"  {n}: {{keys: [{KEY % i}]}}\n" for i, n in enumerate(names)))


def test_the_default_book_published_again_closes_no_source_and_its_comments_stay() -> None:
    first, keys = with_fresh_keys(default_body("sources"))
    text = default_body("sources") + "\n  fair-two: {channel: fair}\n"
    kept = keeping_keys(text, rules(first))
    assert (set(kept.keeping), kept.changed, kept.closed) == (set(keys), (), ())
    assert {**rules(first).by_prefix}.keys() == rules(kept.body).by_prefix.keys()
    assert [line for line in kept.body.splitlines() if line not in text.splitlines() and "keys: [{" not in line] == []
    assert keeping_keys(kept.body, rules(first)).body == kept.body


BLOCK = "\n    # first\n    channel: x  # why\n    # last"


@pytest.mark.parametrize("entry", ["{channel: x}", "{}", "", "~", "&a {channel: x}", "{ }  # none", BLOCK])
def test_a_source_keeps_its_key_however_its_entry_is_written(entry: str) -> None:
    body = f"# ñ🙂\nsources:\n  one: {entry}\n  two:\n    channel: y\n"
    kept = keeping_keys(body, before("one", "two"))
    assert kept.keeping == ("one", "two")
    assert rules(kept.body).by_prefix.keys() == before("one", "two").by_prefix.keys()
    assert rules(kept.body).sources["two"].channel == "y"


def test_keys_that_change_or_vanish_on_purpose_are_named() -> None:
    keys = f"  two: {{keys: [{KEY % 9}]}}\n  five: {{keys: [{KEY % 4}]}}\n"
    body = "sources:\n  one: {keys: []}\n  four: {kind: kafka}\n" + keys
    known = before("one", "two", "three", "four", "five")
    kept = keeping_keys(body, known)
    assert (kept.keeping, kept.changed, kept.closed) == ((), ("two",), ("one", "three", "four"))
    assert keeping_keys(f"sources:\n  new: {{keys: [{KEY % 7}]}}\n", known).changed == ("new",)
    assert keeping_keys(f"sources:\n  one: {{keys: [{KEY % 0}]}}\n", rules(kept.body)).changed == ("one",)
    assert kept.body == body


@pytest.mark.parametrize("entries", ["one: &a {channel: x}\n  two: *a\n", "one:\n    ? channel\n    : x\n  two: {}\n"])
def test_a_key_that_cannot_be_put_in_is_refused_rather_than_lost(entries: str) -> None:
    with pytest.raises(RulesInvalid, match=r"have other keys in force than in this text: one, two; .*`keys: \[\]`"):
        keeping_keys(f"sources:\n  {entries}", before("one", "two"))


LINES = """sources:
  one:
    channel: x
    keys:
    - prefix: leaked00
      sha256: "%s"  # Ana's
    # last of one
    campaign: spring
  two: {channel: y, keys: [{prefix: leaked02, sha256: "%s"}], campaign: z}  # why
  three: {keys: [{prefix: abcdefg2, sha256: "%s"}]}
  gone:
    keys:
      - {prefix: leaked03, sha256: "%s"}
""" % (("a" * 64,) * 4)


def test_a_text_of_then_has_the_keys_of_now_however_it_writes_its_own() -> None:
    kept = going_back(LINES, before("one", "two", "three", "new"))
    assert (kept.keeping, kept.changed, kept.closed) == (("one", "two"), (), ("gone",))
    now = rules(kept.body)
    assert now.by_prefix.keys() == {"abcdefg0", "abcdefg1", "abcdefg2"}
    assert {name: (one.channel, one.campaign) for name, one in now.sources.items()} == {
        "one": ("x", "spring"), "two": ("y", "z"), "three": (None, None), "gone": (None, None)}  # fmt: skip
    assert "leaked" not in kept.body
    assert "    # last of one\n" in kept.body
    assert "}  # why\n" in kept.body


def test_a_source_closed_since_stays_closed_and_one_of_another_kind_then_has_none() -> None:
    now = rules(f"sources:\n  one: {{keys: []}}\n  two: {{keys: [{KEY % 1}]}}\n")
    kept = going_back(f"sources:\n  one: {{keys: [{KEY % 0}]}}\n  two: {{kind: kafka}}\n", now)
    assert (kept.keeping, kept.closed, rules(kept.body).by_prefix) == ((), ("one",), {})


@pytest.fixture
def command(at: Callable[[SlowBroker], SlowBroker], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    at(SlowBroker(refusals=0))
    for name, value in {"HOME": str(tmp_path), "KAFKA": "broker:9092", "POSTGRES": "postgresql://db"}.items():
        monkeypatch.setenv(f"CAUDAL_{name}", value)

    def run(*words: str) -> str:
        result = CliRunner().invoke(command_line(["rules"]), ["rules", *words])
        assert result.exit_code == 0, result.output
        return result.stdout

    return run


def in_force() -> Mapping[str, Source]:
    book = books.in_force(list(books.history("broker:9092")), "sources")
    assert book is not None
    return dict(book.rules.sources)


def test_the_command_publishes_the_kept_keys_and_says_whose_they_are(command: Command, tmp_path: Path) -> None:
    keys = books.publish_missing_defaults("broker:9092")
    file = tmp_path / "sources.yaml"
    file.write_text(default_body("sources").replace("  website:\n", "  website:\n    keys: []\n"))
    checked, told = command("check", str(file)), command("publish", str(file))
    assert f"{len(keys) - 1} sources keeping their keys, of which this text says nothing: landing-pages, " in told
    assert "1 source with no keys any more: website\n" in told
    assert {name for name, source in in_force().items() if source.keys} == keys.keys() - {"website"}
    said = checked.splitlines()
    assert said[:-1] == told.splitlines()[:-1]
    assert said[-1].split("version ")[1] in told.splitlines()[-1]


def test_a_key_taken_away_does_not_come_back_with_an_earlier_book(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "sources.yaml"
    for body in (LINES, f"sources:\n  one: {{channel: now, keys: [{KEY % 0}]}}\n"):
        file.write_text(body)
        command("publish", str(file))
    first = book_version("sources", LINES)
    told = command("rollback", "sources")
    assert f"1 source keeping the keys in force, not those of {first}: one\n" in told
    assert "3 sources without a key now, so closed (`caudal sources key` makes one; " in told
    assert {name: [key.prefix for key in one.keys] for name, one in in_force().items()} == {
        "one": ["abcdefg0"], "two": [], "three": [], "gone": []}  # fmt: skip
    assert in_force()["one"].channel == "x"
    assert command("rollback", "sources", first, "--old-keys") == f"book sources: version {first} is in force\n"
    assert in_force()["gone"].keys
