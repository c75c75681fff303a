"""Publishing book `sources`: who keeps keys, who has others, who is closed."""

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.cli import books
from services.cli.__main__ import command_line
from services.cli.books import default_body, with_fresh_keys
from services.cli.keptkeys import keeping_keys
from services.intake.rules import SourceRules
from services.runtime.errors import RulesInvalid
from services.runtime.rulebook import parse_book
from tests.unit.test_cli_books import SlowBroker, at

__all__ = ["at"]  # a fixture

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
    kept = keeping_keys(body, before("one", "two", "three", "four", "five"))
    assert (kept.keeping, kept.changed, kept.closed) == ((), ("two",), ("one", "three", "four"))
    assert kept.body == body


@pytest.mark.parametrize("entries", ["one: &a {channel: x}\n  two: *a\n", "one:\n    ? channel\n    : x\n  two: {}\n"])
def test_a_key_that_cannot_be_put_in_is_refused_rather_than_lost(entries: str) -> None:
    with pytest.raises(RulesInvalid, match=r"have keys in force and none in this text: one, two; .*`keys: \[\]`"):
        keeping_keys(f"sources:\n  {entries}", before("one", "two"))


def test_the_command_publishes_the_kept_keys_and_says_whose_they_are(
    at: Callable[[SlowBroker], SlowBroker], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at(SlowBroker(refusals=0))
    for name, value in {"HOME": str(tmp_path), "KAFKA": "broker:9092", "POSTGRES": "postgresql://db"}.items():
        monkeypatch.setenv(f"CAUDAL_{name}", value)
    keys = books.publish_missing_defaults("broker:9092")
    file = tmp_path / "sources.yaml"
    file.write_text(default_body("sources").replace("  website:\n", "  website:\n    keys: []\n"))
    result = CliRunner().invoke(command_line(["rules"]), ["rules", "publish", str(file)])
    assert result.exit_code == 0, result.output
    assert (
        f"{len(keys) - 1} sources keeping their keys, of which this text says nothing: landing-pages, " in result.stdout
    )
    assert "1 source with no keys any more: website\n" in result.stdout
    now = books.in_force(list(books.history("broker:9092")), "sources")
    assert now is not None
    assert {name for name, source in now.rules.sources.items() if source.keys} == keys.keys() - {"website"}
