"""`caudal sources`: what is listed and shown, what a body would become, how secrets are kept."""

import json
import stat
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from services.cli import books, hydrating
from services.cli.__main__ import command_line
from services.cli.installation import Installation
from services.cli.ports import read_ports
from services.intake.sources.presets import presets
from services.intake.sources.secrets import SourceSecrets
from services.intake.sources.source import Source
from tests.unit.test_cli_books import SlowBroker, at
from tests.unit.test_intake_presets import CASES

__all__ = ["at"]  # a fixture

EXAMPLES = Path(__file__).parents[2] / "services/intake/sources/presets/examples"
BOOK = """
sources:
  shop: {region: ES, required: [email|phone], keys: [{prefix: abcdefgh, sha256: "%s"}]}
  form: {preset: typeform, fields: {"What is your budget?": budget, Nowhere: city}}
  tok: {preset: tiktok}
  feed: {kind: kafka}
""" % ("0" * 64)


@pytest.fixture(autouse=True)
def book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation of its own where nothing runs, and a book of its own."""
    for name in ("CAUDAL_KAFKA", "CAUDAL_POSTGRES", "CAUDAL_SOURCE_SECRETS", "CAUDAL_PUBLIC_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CAUDAL_HOME", str(tmp_path / "home"))
    file = tmp_path / "my-sources.yaml"
    file.write_text(BOOK)
    return file


def sources(*words: object, given: str | None = None) -> Result:
    return CliRunner().invoke(command_line(["sources"]), ["sources", *map(str, words)], input=given)


def kept(tmp_path: Path) -> object:
    return json.loads((tmp_path / "home" / "source-secrets.json").read_text())


def test_the_list_says_who_can_prove_itself_and_what_to_do_if_not(book: Path) -> None:
    assert sources("secret", "tok", given="s3cr3t\n").exit_code == 0
    lines = {
        line.split("│")[1].strip(): line for line in sources("list", "--file", book).stdout.splitlines() if "│" in line
    }
    assert "yes, 1 key " in lines["shop"]
    assert "typeform" in lines["form"]
    assert "no: caudal sources secret form" in lines["form"]
    assert "signature tiktok" in lines["tok"]
    assert "yes, 1 secret " in lines["tok"]
    assert "whoever may write its topic" in lines["feed"]


def test_what_a_platform_needs_beside_its_secret_is_said_until_it_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "ads.yaml"
    file.write_text("sources: {ads: {preset: meta}, li: {preset: linkedin}, crm: {preset: hubspot}}")
    for source in ("ads", "li", "crm"):
        sources("secret", source, given="s3cr3t")
    shown = sources("show", "ads", "--file", file).stdout
    assert "no: caudal sources secret ads verify, caudal sources secret ads token\n" in shown
    for source in ("li", "crm"):
        assert f"no: caudal sources secret {source} token\n" in sources("show", source, "--file", file).stdout
    sources("secret", "ads", "verify", given="v")
    sources("secret", "ads", "token", given="t")
    assert "yes, 1 secret\n" in sources("show", "ads", "--file", file).stdout


def test_keeping_one_part_says_which_are_still_due(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ads = {"ads": Source(name="ads", protocol="meta", signature={"scheme": "meta"}, hydrate={"api": "meta"})}
    monkeypatch.setattr("services.cli.sources._sources_where_known", lambda: ads)
    told = sources("secret", "ads", "verify", given="v").stdout
    assert "still due: caudal sources secret ads, caudal sources secret ads token\n" in told
    sources("secret", "ads", given="s")
    assert "still due" not in sources("secret", "ads", "token", given="t").stdout


def test_retrying_a_source_that_does_not_exist_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hydrating, "running", lambda: Installation(Path(), "broker:9092", "", read_ports(Path())))
    monkeypatch.setattr(hydrating, "_queue", lambda _: nullcontext())
    monkeypatch.setattr(hydrating.store, "retry", lambda *_: 0)
    monkeypatch.setattr(hydrating.books, "history", lambda _: [])
    result = sources("retry", "nowhere")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "book sources has no source nowhere" in result.stderr


def test_show_has_what_the_preset_gives_and_the_address_and_no_secret(
    book: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources("secret", "form", given="s3cr3t")
    monkeypatch.setenv("CAUDAL_PUBLIC_URL", "https://leads.example.com/")
    result = sources("show", "form", "--file", book)
    assert "https://leads.example.com/in/form " in result.stdout
    assert "What is your budget?: budget" in result.stdout
    assert "submitted_at: occurred_at" in result.stdout
    assert "s3cr3t" not in result.stdout
    assert "0" * 64 not in sources("show", "shop", "--file", book).stdout


def test_a_source_that_does_not_exist_is_said_not_to_exist(book: Path) -> None:
    for words in (("show", "x"), ("test", "x", book)):
        result = sources(*words, "--file", book)
        assert (result.exit_code, result.stderr) == (
            2,
            "there is no source 'x'; the sources are feed, form, shop, tok\n",
        )


def test_a_body_is_shown_as_the_lead_it_would_be_with_what_is_odd_about_it(book: Path) -> None:
    result = sources("test", "form", EXAMPLES / "typeform.json", "--file", book)
    assert result.exit_code == 0
    parts = ["email: ana@example.org", "budget: 5000.0", "What do you need?: Repair, Solar, A skylight", "email: ok"]
    assert [part for part in (*parts, "source_key: a3a12ec67a") if part not in result.stdout] == []
    assert "warning: `fields` maps Nowhere, and the body has no such field" in result.stdout
    assert "not verified" in sources("test", "tok", EXAMPLES / "tiktok.json", "--file", book).stdout


@pytest.mark.parametrize(("body", "told"), [
    (b'{"email": "ana@example.org", "phone": "12"}', "warning: phone is invalid"),
    (b'{"phone": "600000012"}', "'+34600000012'"), (b"email=ana%40example.org&city=Vigo", "city: Vigo"),
])  # fmt: skip
def test_what_could_be_better_is_said(book: Path, tmp_path: Path, body: bytes, told: str) -> None:
    file = tmp_path / "body"
    file.write_bytes(body)
    assert told in sources("test", "shop", file, "--file", book).stdout


@pytest.mark.parametrize(("body", "code"), [
    (b"{", "bad_json"), (b'{"city": "Vigo"}', "required"), (b'[{"email": "a@example.org"}, 7]', "not_an_object"),
    (b"\x1f\x8bx", "bad_gzip"), (b"", "empty_body"),
])  # fmt: skip
def test_what_would_be_refused_says_so_and_fails(book: Path, tmp_path: Path, body: bytes, code: str) -> None:
    file = tmp_path / "body.json"
    file.write_bytes(body)
    result = sources("test", "shop", file, "--file", book)
    assert (result.exit_code, f"code: {code}" in result.stdout) == (1, True)


@pytest.mark.parametrize("preset", CASES)
def test_every_example_can_be_tried(preset: str, tmp_path: Path) -> None:
    file = tmp_path / "sources.yaml"
    file.write_text(json.dumps({"sources": {"it": {"preset": preset, **CASES[preset].extra}}}))
    result = sources("test", "it", EXAMPLES / str(presets()[preset].example), "--file", file)
    assert (result.exit_code, "email: ana@example.org" in result.stdout) == (0, True), result.output


def test_a_secret_from_a_pipe_is_kept_for_its_owner_alone_and_the_one_before_stays(tmp_path: Path) -> None:
    for value in ("first\n", "second", "second", "third"):
        result = sources("secret", "form", given=value)
        assert value.strip() not in result.output
    file = tmp_path / "home" / "source-secrets.json"
    assert kept(tmp_path) == {"form": {"secret": ["third", "second"]}}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert SourceSecrets(str(file)).of("form") == ("third", "second")
    sources("secret", "form", "--only", given="fourth")
    sources("secret", "form", "verify", given="v")
    assert kept(tmp_path) == {"form": {"secret": ["fourth"], "verify": ["v"]}}


def test_a_secret_that_is_made_is_shown_once(tmp_path: Path) -> None:
    result = sources("secret", "form", "--make")
    (value,) = json.loads((tmp_path / "home" / "source-secrets.json").read_text())["form"]["secret"]
    assert len(value) > 40
    assert result.stdout.count(value) == 1


def test_a_part_that_is_none_and_an_empty_value_change_nothing(tmp_path: Path) -> None:
    assert sources("secret", "form", "tokn", given="x").exit_code == 2
    assert sources("secret", "form", given=" \n").exit_code == 2
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("content", ["{", "[]", '{"form": {"secret": 7}}', '{"form": 7}'])
def test_a_file_of_secrets_that_cannot_be_read_is_not_written_over(
    content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "secrets.json"
    file.write_text(content)
    monkeypatch.setenv("CAUDAL_SOURCE_SECRETS", str(file))
    result = sources("secret", "form", given="x")
    assert "is not the JSON that it should be" in str(result.exception)
    assert file.read_text() == content


def test_show_tells_how_full_the_caps_are_of_the_book_in_force_only(
    at: Callable[[SlowBroker], SlowBroker], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at(SlowBroker(refusals=0))
    for name, value in {"HOME": str(tmp_path), "KAFKA": "b:9092", "POSTGRES": "postgresql://127.0.0.1:1/none"}.items():
        monkeypatch.setenv(f"CAUDAL_{name}", value)
    body = "sources:\n  shop: {caps: [{most: 2, per: day}]}\n"
    books.publish("b:9092", "sources", body, "ana")
    assert "cap:     not known, PostgreSQL: " in sources("show", "shop").stdout
    (tmp_path / "sources.yaml").write_text(body)
    assert "cap:     " not in sources("show", "shop", "--file", tmp_path / "sources.yaml").stdout
