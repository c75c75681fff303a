"""What `caudal rules` says before it asks anybody: which book a file is, and that there is no such book."""

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from services.cli.__main__ import command_line
from services.cli.books import MODELS, default_body
from services.cli.rules import before
from services.runtime.rulebook import parse_book

RULES = Path(__file__).parents[2] / "deploy" / "rules"


def rules(*words: str) -> Result:
    return CliRunner().invoke(command_line(["rules"]), ["rules", *words])


@pytest.mark.parametrize("name", ["scoring", "my-scoring", "scoring copy", "Scoring (2)", "2026_scoring_spring"])
def test_a_copy_under_another_name_is_known_by_the_word_in_it(tmp_path: Path, name: str) -> None:
    file = tmp_path / f"{name}.yaml"
    shutil.copy(RULES / "scoring.yaml", file)
    result = rules("check", str(file))
    assert (result.exit_code, f"{file} can be used as book scoring; it" in result.stdout) == (0, True), result.output


@pytest.mark.parametrize("name", ["mine", "scoring-routing", "rescoring"])
def test_a_name_that_tells_no_book_or_two_asks_for_the_option(tmp_path: Path, name: str) -> None:
    file = tmp_path / f"{name}.yaml"
    file.write_text(default_body("scoring"))
    result = rules("check", str(file))
    assert result.exit_code == 2
    assert f"{file}: its name does not tell which book it is; say --book with one of" in result.stderr
    assert rules("check", str(file), "--book", "scoring").exit_code == 0


@pytest.mark.parametrize("words", [("rollback", "nobook"), ("history", "nobook"), ("check", "--book", "nobook")])
def test_a_book_that_does_not_exist_is_said_not_to_exist(words: tuple[str, ...]) -> None:
    result = rules(*words, *([str(RULES / "scoring.yaml")] if words[0] == "check" else []))
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"there is no book 'nobook'; the books are {', '.join(MODELS)}\n"


def test_a_file_that_is_no_text_is_named_with_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "scoring.yaml"
    file.write_bytes("compañía: 1".encode("cp1252"))
    result = rules("check", str(file))
    assert (result.exit_code, result.stderr) == (1, f"{file} is not text in UTF-8 (at byte 5); save it as UTF-8\n")


@pytest.mark.parametrize(("body", "name", "first", "again"), [
    ("sources:\n  shop: {channel: a}\n  fair:\n  shop: {channel: b}\n", "shop", 2, 4),
    ("sources:\n  shop:\n    channel: a\n    caps:\n    - {most: 1,\n       per: day, most: 2}\n", "most", 5, 6),
    ("sources: {}\nsources:\n  shop:\n", "sources", 1, 2),
])  # fmt: skip
def test_two_entries_of_one_name_are_refused_with_both_lines(
    tmp_path: Path, body: str, name: str, first: int, again: int
) -> None:
    file = tmp_path / "sources.yaml"
    file.write_text(body)
    result = rules("check", str(file))
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"{file}:{again}: {name} stands twice, first at line {first}, and only the last" in result.stderr
    assert parse_book("sources", body, MODELS["sources"])  # what is on the log stays readable


@pytest.mark.parametrize("book", MODELS)
def test_the_default_books_name_nothing_twice(book: str) -> None:
    assert rules("check", str(RULES / f"{book}.yaml")).exit_code == 0


@pytest.mark.parametrize(
    ("activated", "version"), [([], None), (["a"], None), (["a", "a"], None), (["a", "b"], "a"), (["a", "b", "b"], "a")]
)
def test_what_was_in_force_before_is_the_last_other_version(activated: list[str], version: str | None) -> None:
    assert before(activated) == version
