"""A hostile or broken file is refused in words or costs its bad rows: never memory, never time, never the good rows."""

import os
import resource
import struct
import tracemalloc
import zipfile
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import pytest

from services.intake.files import spreadsheets
from services.intake.files.encoding import lines
from services.intake.files.faults import BadRow, FileRefused
from services.intake.files.items import Item
from services.intake.files.layout import Asked, look, read
from services.intake.files.opened import UpTo, opened
from services.intake.files.rejects import Rejects, inert
from tests.import_files import bad, contents, ods, read_whole, row, xlsx

HEADER = row(1, ["Nombre", "Correo"])


def written(folder: Path, data: bytes, name: str = "list.csv") -> Path:
    (folder / name).write_bytes(data)
    return folder / name


def refused(file: Path) -> str:
    with pytest.raises(FileRefused) as found:
        read_whole(file)
    return str(found.value)


def test_a_zip_bomb_is_refused_before_anything_is_unpacked(tmp_path: Path) -> None:
    bomb = xlsx({"A": HEADER}, {"xl/media/image1.bin": bytes(30_000_000)})
    assert "unpacks to 30 MB" in refused(written(tmp_path, bomb, "bomb.xlsx"))


def test_an_archive_of_a_hundred_thousand_parts_is_refused_before_they_are_listed(tmp_path: Path) -> None:
    made = BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for n in range(5001):
            archive.writestr(f"xl/{n}", b"")
    assert "more than 5000 parts" in refused(written(tmp_path, made.getvalue(), "many.xlsx"))
    for said in (100_000, 5):  # the second lies about its number, and its directory tells
        end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, min(said, 65_535), min(said, 65_535), 8_000_000, 0, 0)
        assert "more than 5000 parts" in refused(written(tmp_path, b"PK\x03\x04" + bytes(9_000_000) + end, "lie.xlsx"))


def test_a_zip_that_is_no_spreadsheet_is_refused(tmp_path: Path) -> None:
    made = BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("../../etc/passwd", b"x")
    assert "no spreadsheet" in refused(written(tmp_path, made.getvalue(), "x.xlsx"))


def test_a_spreadsheet_over_the_limit_is_refused_by_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spreadsheets, "MOST_FILE_BYTES", 1000)
    assert "save it as CSV" in refused(written(tmp_path, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(2000), "big.xls"))


@pytest.mark.parametrize(
    "data",
    [xlsx({"A": HEADER + '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'}),
     ods([["Nombre", "Correo"], ["x", "y"]], 'table:number-columns-repeated="100000000"'),
     xlsx({"A": '<!DOCTYPE x [<!ENTITY a "ha">]>' + HEADER + row(2, ["&a;" * 10, "x"])}),
     b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + os.urandom(20_000)],
    ids=["a cell at the far end", "a cell repeated for ever", "an entity", "noise"],
)  # fmt: skip
def test_a_sheet_made_to_fill_the_memory_costs_its_reader_alone(tmp_path: Path, data: bytes) -> None:
    file = written(tmp_path, data, "evil.xlsx")
    with suppress(FileRefused):
        assert len(read_whole(file)[1]) <= 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 2_000_000


def test_a_sheet_that_takes_more_memory_than_its_reader_may_is_refused(tmp_path: Path) -> None:
    data = xlsx({"A": HEADER + '<row r="6000"><c r="XFD6000"><v>1</v></c></row>'})
    assert "too large to be read" in refused(written(tmp_path, data, "dense.xlsx"))


def test_a_sheet_of_too_many_columns_is_refused_and_a_row_of_them_costs_itself(tmp_path: Path) -> None:
    wide = "".join(f'<c r="{chr(65 + n // 26)}{chr(65 + n % 26)}1" t="str"><v>c{n}</v></c>' for n in range(26 * 26))
    assert "500" in refused(written(tmp_path, xlsx({"A": f'<row r="1">{wide}</row>'}), "wide.xlsx"))
    assert "100000 cells" in refused(written(tmp_path, b",".join([b"a"] * 100_000)))
    file = written(tmp_path, b"a,b\n1,2\n" + b",".join([b"x"] * 100_000) + b"\n3,4\n")
    assert bad(file) == [(3, "too_many_columns")]
    assert contents(file) == [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]


def test_formulas_are_data_when_read_and_inert_only_when_exported(tmp_path: Path) -> None:
    cells = ["=1+1", "+34600000011", "-2", "@x", "plain"]
    file = written(tmp_path, ("a,b,c,d,e\n" + ",".join(cells) + "\n").encode())
    assert list(contents(file)[0].values()) == cells
    assert [inert(cell) for cell in [*cells, "\tx", "\rx"]] == [*(f"'{c}" for c in cells[:4]), "plain", "'\tx", "'\rx"]
    with Rejects(tmp_path / "rejects.csv", ["=evil"]) as rejects:
        rejects.note(2, cells, "required", "no e-mail")
    text = (tmp_path / "rejects.csv").read_bytes().decode("utf-8-sig")
    assert text == "row,code,reason,'=evil\n2,required,no e-mail,'=1+1,'+34600000011,'-2,'@x,plain\n".replace(
        "\n", "\r\n"
    )


class Endless:
    """A line of 100 MB between two good ones, made as it is read; counts the most that was asked for at once."""

    def __init__(self) -> None:
        self.parts = iter([b"a,b\n1,2\n", *([b"x" * 1_000_000] * 100), b"\n3,4\n"])
        self.most = 0

    def read(self, most: int, /) -> bytes:
        self.most = max(self.most, most)
        return next(self.parts, b"")


def test_a_line_of_100_mb_is_passed_over_without_being_kept() -> None:
    endless = Endless()
    tracemalloc.start()
    found = list(lines(endless, "utf-8"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [line.text for line in found] == ["a,b\n", "1,2\n", None, "3,4\n"]
    assert endless.most <= 65_536
    assert peak < 8_000_000


def test_a_long_line_is_one_bad_row_in_every_encoding(tmp_path: Path) -> None:
    for encoding in ("utf-8", "utf-16"):
        file = written(tmp_path, ("a,b\n1,2\n" + "x" * 600_000 + "\n3,4\n").encode(encoding))
        assert bad(file) == [(3, "too_long")]
        assert contents(file) == [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]


def test_a_quote_never_closed_costs_a_row_however_long_the_file(tmp_path: Path) -> None:
    file = written(tmp_path, b'a,b\n1,2\n"3,4\n' + b"5,6\n" * 20_000)
    found = read_whole(file)[1]
    assert (bad(file), len(found)) == ([], 20_002)  # the bad line has as many cells as it should: its quote is a letter
    file = written(tmp_path, b'a,b\n1,2\n"3\n' + b"5,6\n" * 20_000)
    assert bad(file) == [(3, "bad_quotes")]
    assert sum(isinstance(item, Item) for item in read_whole(file)[1]) == 20_001


def test_a_quote_on_every_line_is_read_in_linear_time(tmp_path: Path) -> None:
    file = written(tmp_path, b"a,b,c\n" + b'"x\n' * 5000)
    began = os.times().user
    assert len(bad(file)) >= 2000
    assert os.times().user - began < 10


def test_mixed_line_ends_nul_and_odd_bytes_lose_no_row(tmp_path: Path) -> None:
    file = written(
        tmp_path, b"name,email\r\nA\x00na,a@example.com\nPe\xf1a,p@example.com\r\x00Eva,e@example.com\r\n\x81,x"
    )
    assert [c["name"] for c in contents(file)] == ["Ana", "Peña", "Eva", "\x81"]


def test_what_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, Path("/dev/zero"), tmp_path / "nothing.csv"):
        assert "no file" in refused(path) or "cannot be opened" in refused(path)


def test_a_link_is_followed_and_a_file_that_vanishes_is_read_to_its_end(tmp_path: Path) -> None:
    file = written(tmp_path, b"name,email\n" + b"A,a@example.com\n" * 50_000)
    (tmp_path / "link.csv").symlink_to(file)
    with opened(tmp_path / "link.csv") as stream:
        layout = look(stream, file, Asked())
        found = read(stream, layout)
        next(found)
        file.unlink()
        assert len(list(found)) == 49_999


def test_what_is_appended_while_a_file_is_read_waits_for_another_time(tmp_path: Path) -> None:
    file = written(tmp_path, b"name,email\nA,a@example.com\n")
    with opened(file) as stream:
        layout = look(stream, file, Asked())
        with file.open("ab") as more:
            more.write(b"B,b@example.com\n" * 3)
        assert len(list(read(stream, layout))) == 1


def test_a_file_that_shrinks_while_it_is_read_is_told_of(tmp_path: Path) -> None:
    file = written(tmp_path, b"x" * 100)
    with opened(file) as stream:
        whole = UpTo(stream, 100)
        os.truncate(file, 10)
        with pytest.raises(FileRefused, match="shorter"):
            whole.read() and whole.read()


def test_billion_laughs_in_an_adf_file_stay_words(tmp_path: Path) -> None:
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    adf = f"<!DOCTYPE adf [{laughs}]><adf><prospect><customer><comments>&l9;</comments></customer></prospect></adf>"
    assert contents(written(tmp_path, adf.encode(), "l.adf")) == [{"message": "&l9;"}]


def test_a_card_without_end_or_too_large_costs_itself(tmp_path: Path) -> None:
    note = "NOTE:" + "x" * 250_000
    cards = f"BEGIN:VCARD\nFN:A\n{note}\nEND:VCARD\nBEGIN:VCARD\nFN:B\nEND:VCARD\nBEGIN:VCARD\nFN:C\n"
    file = written(tmp_path, cards.encode(), "l.vcf")
    assert (contents(file), [code for _, code in bad(file)]) == ([{"name": "B"}], ["too_large", "no_end"])


def test_garbage_in_a_card_is_a_bad_row(tmp_path: Path) -> None:
    file = written(tmp_path, b"BEGIN:VCARD\n;;;:::\n\x00=\nN\nEND:VCARD\nBEGIN:VCARD\nFN:B\nEND:VCARD\n", "l.vcf")
    assert [type(item) for item in read_whole(file)[1]] == [BadRow, Item]
