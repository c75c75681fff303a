"""The rule book `sources`, and keys."""

import base64
import re
from pathlib import Path

import pytest

from services.intake import keys
from services.intake.rules import SourceRules
from services.intake.sources.source import Source
from services.runtime.errors import RulesInvalid
from services.runtime.rulebook import parse_book

BOOK = Path(__file__).parents[2] / "deploy" / "rules" / "sources.yaml"


def rules_with(*held: tuple[str, str]) -> SourceRules:
    entries = [{"prefix": prefix, "sha256": digest} for prefix, digest in held]
    return SourceRules.model_validate({"sources": {"website": {"keys": entries}}})


def test_the_default_book_is_valid_and_every_source_is_closed_until_it_gets_a_key() -> None:
    rules: SourceRules = parse_book("sources", BOOK.read_text(), SourceRules).rules
    assert rules.sources["website"].name == "website"
    assert rules.by_prefix == {}


@pytest.mark.parametrize(
    ("source", "complaint"),
    [("{keys: [{prefix: abcdefgh, sha256: zz}]}", "sha256"), ("{required: [mail]}", "no such field"),
     ("{fields: {Correo: mail}}", "no such field"), ("{accepts: [outcomes]}", "destination"),
     ("{colour: red}", "colour"), ("{region: Spain}", "region"),
     (f"{{kind: kafka, keys: [{{prefix: abcdefgh, sha256: {'a' * 64}}}]}}", "kafka"), ("7", "sources")],
)  # fmt: skip
def test_a_mistake_in_the_book_is_refused_and_named(source: str, complaint: str) -> None:
    with pytest.raises(RulesInvalid, match=complaint):
        parse_book("sources", f"sources:\n  website: {source}\n", SourceRules)


@pytest.mark.parametrize("zone", ["Madrid", "../x", "''"])
def test_a_time_zone_that_is_none_is_refused_with_the_line_and_how_to_write_it(zone: str) -> None:
    text = f"sources:\n  website:\n    caps: [{{most: 5, per: day, zone: {zone}}}]\n"
    with pytest.raises(RulesInvalid, match=r"book sources:3: sources\.website\.caps\.0\.zone: .*Europe/Madrid"):
        parse_book("sources", text, SourceRules)


KEYS = "keys are made by `caudal sources key`: put the line that it prints here"


@pytest.mark.parametrize(
    ("entry", "says"),
    [("chanel: web", "there is no field `chanel`; did you mean `channel`?"), ("colour: red", "no field `colour`;"),
     ("caps: [{most: 1, per: day, zon: UTC}]", "there is no field `zon`; did you mean `zone`?"),
     ("region: Spain", "it must look like ES (found 'Spain')"), ("currency: euro", "it must look like EUR"),
     ("keys: [cdl_abcdefgh_s3cr3t]", KEYS), ("keys: cdl_abcdefgh_s3cr3t", KEYS),
     ("keys: [{prefix: cdl_abcdefgh_s3cr3t, sha256: s3cr3t}]", "keys.0.sha256"),
     ("channel: [cdl_abcdefgh_s3cr3t]", "found ['cdl_...']"),
     ("preset: typefrom", "no such preset: typefrom"), ("protocol: metta", "no such protocol: metta"),
     ("accepts: [outcomes]", "needs `destination`")],
)  # fmt: skip
def test_a_mistake_is_told_at_its_source_in_plain_words_and_shortly(entry: str, says: str) -> None:
    text = f"sources:\n  fair: {{consent_text: {'x' * 200}}}\n  website:\n    {entry}\n"
    with pytest.raises(RulesInvalid, match=r"^sources.yaml:4: sources\.website") as error:
        parse_book("sources", text, SourceRules, "sources.yaml")
    assert says in str(error.value)
    assert [word for word in ("s3cr3t", "xxx", "Extra inputs", "instance of") if word in str(error.value)] == []


def test_a_mistake_of_the_whole_book_names_the_sources_and_does_not_print_it() -> None:
    key = f"{{prefix: abcdefgh, sha256: {'a' * 64}}}"
    text = f"sources:\n  fair: {{keys: [{key}], channel: {'x' * 900}}}\n  web: {{keys: [{key}]}}\n"
    with pytest.raises(RulesInvalid, match="key prefix abcdefgh stands twice, at fair and web; make") as error:
        parse_book("sources", text, SourceRules)
    assert len(str(error.value)) < 300


@pytest.mark.parametrize("preset", ["meta", "linkedin", "hubspot"])
def test_a_source_that_tells_ids_only_may_have_caps(preset: str) -> None:
    book = SourceRules.model_validate({"sources": {"ads": {"preset": preset, "caps": [{"most": 5, "per": "day"}]}}})
    assert book.sources["ads"].hydrate
    assert [cap.most for cap in book.sources["ads"].caps] == [5]


def test_one_prefix_cannot_open_two_sources() -> None:
    key = f"{{prefix: abcdefgh, sha256: {'a' * 64}}}"
    with pytest.raises(RulesInvalid, match="twice"):
        parse_book("sources", f"sources:\n  a: {{keys: [{key}]}}\n  b: {{keys: [{key}]}}\n", SourceRules)


def test_both_live_keys_open_the_source_and_no_other_text_does() -> None:
    (old, *old_row), (new, *new_row) = keys.new_key(), keys.new_key()
    rules = rules_with((old_row[0], old_row[1]), (new_row[0], new_row[1]))
    for key in (old, new):
        found = keys.verify(rules, key)
        assert found is not None
        assert found.name == "website"
    mixed = old[:13] + new[13:]
    for wrong in (None, "", "cdl_", mixed, old[:-1], old + "x", keys.new_key()[0], old.upper()):
        assert keys.verify(rules, wrong) is None


def test_the_book_holds_no_secret() -> None:
    key, prefix, digest = keys.new_key()
    assert key.startswith(f"cdl_{prefix}_")
    assert key[13:] not in prefix + digest
    assert len(key) == 56


def test_the_key_is_taken_from_the_headers_that_clients_use() -> None:
    basic = base64.b64encode(b"the-key:").decode()
    assert keys.presented({"authorization": "Bearer the-key"}) == "the-key"
    assert keys.presented({"authorization": f"Basic {basic}"}) == "the-key"
    assert keys.presented({"x-api-key": "the-key"}) == "the-key"
    assert keys.presented({"authorization": "Basic ???"}) is None
    assert keys.presented({}) is None


def test_the_head_of_the_default_book_explains_every_field_of_a_source() -> None:
    head = BOOK.read_text(encoding="utf-8").partition("\nsources:")[0]
    assert [name for name in Source.model_fields if name != "name" and not re.search(rf"\b{name}\b", head)] == []
