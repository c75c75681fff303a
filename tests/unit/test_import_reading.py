"""A list is read as the person who made it meant it, whatever program wrote it."""

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import xlwt

from services.intake.files import header
from services.intake.files.dates import day_first, iso
from services.intake.files.faults import FileRefused
from services.intake.files.header import header_of
from services.intake.files.items import Item
from services.intake.files.jobs import Job
from services.intake.files.layout import Asked, look
from services.intake.files.mapping import checked_targets, suggest
from services.intake.files.opened import opened
from services.intake.files.reach import check_reach
from services.intake.files.rejects import Rejects
from services.intake.files.submissions import digest
from tests.import_files import bad, contents, ods, read_whole, row, xlsx

NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
ANA = {"Nombre": "Ángel Muñoz", "Correo": "angel@example.com"}


def written(folder: Path, data: bytes, name: str = "list.csv") -> Path:
    (folder / name).write_bytes(data)
    return folder / name


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252", "latin-1", "mac_roman", "cp850"]
)
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_encoding_delimiter_and_line_ends_are_found_out(
    tmp_path: Path, encoding: str, delimiter: str, end: str
) -> None:
    lines = (delimiter.join(cells) for cells in (ANA.keys(), ANA.values(), ("Íñigo Peña", "inigo@example.com")))
    found = contents(written(tmp_path, (end.join(lines) + end).encode(encoding)))
    assert found == [ANA, {"Nombre": "Íñigo Peña", "Correo": "inigo@example.com"}]


def test_what_is_said_of_a_file_counts_more_than_what_is_found(tmp_path: Path) -> None:
    file = written(tmp_path, "a,b;c\nš,2;3\n".encode("cp1250"))
    assert contents(file, Asked(encoding="cp1250", delimiter=";")) == [{"a,b": "š,2", "c": "3"}]
    with pytest.raises(FileRefused, match="no such encoding"):
        read_whole(file, Asked(encoding="klingon"))


def test_a_line_in_another_encoding_than_the_first_ones_is_read_too(tmp_path: Path) -> None:
    ascii_first = "name,email\n" + "x,x@example.com\n" * 10_000
    file = written(tmp_path, ascii_first.encode() + "Peña,p@example.com\n".encode("cp1252"))
    assert contents(file)[-1] == {"name": "Peña", "email": "p@example.com"}


def test_titles_above_the_header_are_passed_over_and_a_header_that_comes_twice_is_no_row(tmp_path: Path) -> None:
    header = "Nombre;Correo;Notas\n"
    text = f"Feria 2026;;\n;;\n{header}Ana;a@example.com;x\n{header}Eva;e@example.com;y\n"
    layout, _ = read_whole(file := written(tmp_path, text.encode()))
    assert (layout.columns, layout.header_number) == (("Nombre", "Correo", "Notas"), 3)
    assert [c["Nombre"] for c in contents(file)] == ["Ana", "Eva"]


def test_a_table_without_a_header_loses_no_row_and_its_columns_are_known_by_their_values(tmp_path: Path) -> None:
    file = written(tmp_path, b"ana@example.com,600000011,Ana\nluis@example.com,600000012,Luis\n")
    layout, rows = read_whole(file)
    mapped = suggest(layout.columns, layout.sample, "leads", {}, {}, "ES")
    assert [m.field for m in mapped] == ["email", "phone", None]
    assert len(rows) == 2


def test_columns_of_one_name_or_none_keep_their_values_apart() -> None:
    assert header_of([("Tel", "tel", "", "Correo")]).columns == ("Tel", "tel (2)", "column 3", "Correo")


def test_a_cell_is_told_by_its_first_320_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    pattern = header._VALUE

    class Watched:
        def fullmatch(self, written: str) -> object:
            seen.append(len(written))
            return pattern.fullmatch(written)

    monkeypatch.setattr(header, "_VALUE", Watched())
    header_of([("a@" + "." * 1000 + " ", "Correo")])
    assert header_of([("+34" + " 600" * 1000, "ana@example.com")]).place is None
    assert max(seen) == 320


def test_quotes_hold_line_breaks_delimiters_and_quotes(tmp_path: Path) -> None:
    file = written(
        tmp_path, b'name,message,email\n"Ana ""A"" Soto","one, \ntwo",a@example.com\nEva,6" pipe,e@example.com\n'
    )
    assert contents(file) == [
        {"name": 'Ana "A" Soto', "message": "one, \ntwo", "email": "a@example.com"},
        {"name": "Eva", "message": '6" pipe', "email": "e@example.com"},
    ]


def test_a_stray_quote_costs_at_most_its_own_row(tmp_path: Path) -> None:
    lines = [f"Ana {n},a{n}@example.com,x" for n in range(1000)]
    lines[500] = '"Ana 500,a500@example.com'
    file = written(tmp_path, ("name,email,note\n" + "\n".join(lines)).encode())
    assert bad(file) == [(502, "bad_quotes")]
    assert [c["name"] for c in contents(file)] == [f"Ana {n}" for n in range(1000) if n != 500]


def test_a_row_with_more_cells_than_the_header_loses_none(tmp_path: Path) -> None:
    assert contents(written(tmp_path, b"a,b\n1,2,3\n4,5\n6,7\n"))[0] == {"a": "1", "b": "2", "column 3": "3"}


@pytest.mark.parametrize(
    ("column", "field"),
    [("E-Mail", "email"), ("Correo electrónico", "email"), ("Telefonо", None),
     ("Nº de teléfono", "phone"), ("Poblacion", "city"),
     ("Company Name", "company"), ("Razón Social", "company"), ("Codigo Postal", "postcode"),
     ("Apelidos", "family_name"), ("Acepta recibir información", "consent"), ("Accepts Marketing", "consent"),
     ("He leído la política de privacidad", None),
     ("Observaciones", "message"), ("Color favorito", None), ("Nombre (2)", "name"), ("Direccion de correo", "email")],
)  # fmt: skip
def test_headers_in_english_and_spanish_are_understood_and_strange_ones_stay_answers(
    column: str, field: str | None
) -> None:
    if column == "Telefonо":  # its last letter is Cyrillic: nearly the name, and only the likeness says so
        mapped = suggest([column], [], "leads", {}, {}, None)[0]
        assert (mapped.field, 80 < mapped.confidence < 100) == ("phone", True)
        return
    mapped = suggest([column], [], "leads", {}, {}, None)[0]
    assert (mapped.field, mapped.confidence > 85) == (field, field is not None)


def test_a_person_says_more_than_the_book_and_the_book_more_than_a_name() -> None:
    mapped = suggest(
        ["Móvil", "Nota", "Tel"], [], "leads", {"Móvil": "message"}, {"Móvil": "phone", "Nota": "budget"}, None
    )
    assert [(m.field, m.why) for m in mapped] == [
        ("message", "--map"),
        ("budget", "the source's book"),
        ("phone", "its name"),
    ]


@pytest.mark.parametrize(
    ("given", "said"), [({"Correo": "emial"}, "no field 'emial'"), ({"Coreo": "email"}, "no column 'Coreo'")]
)
def test_a_map_that_names_nothing_is_refused(given: dict[str, str], said: str) -> None:
    with pytest.raises(FileRefused, match=said):
        checked_targets(given, ["Correo"], "leads")


def test_xlsx_gives_values_of_the_first_sheet_that_holds_any_or_the_one_asked_for(tmp_path: Path) -> None:
    header = row(2, ["Nombre", "Móvil"])
    text = '<c r="A4" t="str"><f>CONCAT("a","b")</f><v>Eva Sanz</v></c>'
    formula = f'<row r="4">{text}<c r="B4"><f>1+1</f><v>600000013</v></c></row>'
    data = xlsx(
        {"Vacía": "", "Lista": header + row(3, ["Ana", 34600000012.0]) + formula, "Otra": row(1, ["x"]) + row(2, ["y"])}
    )
    file = written(tmp_path, data, "list.xlsx")
    assert contents(file) == [{"Nombre": "Ana", "Móvil": "34600000012"}, {"Nombre": "Eva Sanz", "Móvil": "600000013"}]
    assert [item.number for item in read_whole(file)[1]] == [3, 4]
    assert contents(file, Asked(sheet="Otra")) == contents(file, Asked(sheet="3")) == [{"x": "y"}]
    with pytest.raises(FileRefused, match="no sheet 'Nada'; there are Vacía, Lista, Otra"):
        read_whole(file, Asked(sheet="Nada"))


def test_a_cover_sheet_is_not_taken_for_the_list_and_the_others_are_named(tmp_path: Path) -> None:
    cover, notes = row(1, ["Feria 2026"]), row(1, ["Empresa", "Ejemplo"]) + row(2, ["Fecha", "noviembre"])
    people = row(1, ["Nombre", "Correo"]) + row(2, ["Ana", "ana@example.com"])
    data = xlsx({"Portada": cover, "Notas": notes, "Visitantes": people, "Vacía": ""})
    layout, items = read_whole(written(tmp_path, data, "feria.xlsx"))
    assert (layout.sheet, layout.others, len(items)) == ("Visitantes", ("Portada", "Notas"), 1)


def test_where_no_header_is_known_the_sheet_with_most_rows_is_the_list(tmp_path: Path) -> None:
    long = "".join(row(n, [f"a{n}", f"b{n}"]) for n in range(1, 6))
    data = xlsx({"Portada": row(1, ["Feria"]), "Larga": long, "Corta": row(1, ["x", "y"])})
    assert read_whole(written(tmp_path, data, "list.xlsx"))[0].sheet == "Larga"


@pytest.mark.parametrize(
    ("data", "name", "said"),
    [(xlsx({"Portada": row(1, ["Feria"])}), "l.xlsx", "sheet 'Portada' has no row below its header.*Feria"),
     (xlsx({"A": row(1, ["x", "y"]) + row(2, ["a", "b"]) + row(3, ["c", "d"]), "B": row(1, ["z"])}), "l.xlsx",
      "no column of sheet 'A' .*x, y: .*--map .*--sheet takes another of its sheets: B"),
     (b"Nombre,Correo\n", "l.csv", "the file has no row below its header"),
     (b"Nombre,Stand\nAna,4\n", "l.csv", "nobody could be reached; its columns are Nombre, Stand")],
)  # fmt: skip
def test_a_file_without_rows_or_without_a_way_to_reach_anybody_is_refused(
    tmp_path: Path, data: bytes, name: str, said: str
) -> None:
    path = written(tmp_path, data, name)
    job = Job(name="l", file=str(path), source="fair", what="leads", list_name="l", started_at=NOW, updated_at=NOW)
    with opened(path) as stream:
        layout = look(stream, path, Asked())
        mapped = suggest(layout.columns, layout.sample, "leads", {}, {}, "ES")
        with pytest.raises(FileRefused, match=said):
            check_reach(stream, layout, mapped, job)
        check_reach(stream, replace(layout, sample=(("x",),)), mapped, job.model_copy(update={"what": "outcomes"}))


def test_the_rejects_of_an_import_are_read_as_the_list_they_come_from(tmp_path: Path) -> None:
    columns = ("Nombre", "=Correo", "row", "Móvil", "Stand")
    with Rejects(tmp_path / "rejects.csv", columns) as rejects:
        rejects.note(7, ("Ana", "ana@@example", "3", "+34600000011"), "required", "e-mail, or phone; is missing")
        rejects.note(9, ("Eva",), "required", "is missing")
    layout, items = read_whole(tmp_path / "rejects.csv")
    assert layout.columns == columns
    assert [item.content for item in items if isinstance(item, Item)] == [
        {"Nombre": "Ana", "=Correo": "ana@@example", "row": "3", "Móvil": "+34600000011"},
        {"Nombre": "Eva"},
    ]
    assert [item.cells for item in items][1] == ("Eva", "", "", "", "")
    assert [item.number for item in items] == [7, 9]


@pytest.mark.parametrize(("written_there", "number"), [("1", 1), ("", 2), ("x", 2), ("9" * 5000, 2)])
def test_a_mended_row_has_the_number_of_its_list_where_one_stands_there(
    tmp_path: Path, written_there: str, number: int
) -> None:
    text = f"row,code,reason,Correo\n{written_there},required,why,ana@example.com\n"
    assert [item.number for item in read_whole(written(tmp_path, text.encode()))[1]] == [number]


def test_a_list_is_known_again_in_another_kind_of_file_where_its_cells_are_the_same(tmp_path: Path) -> None:
    header, ana = ["Correo", "Móvil"], "ana@example.com"
    plain = written(tmp_path, f"Correo,Móvil\n{ana},600000011\n{ana},600 000 011\n".encode())
    sheet = xlsx({"A": row(1, header) + row(2, [ana, 600000011]) + row(3, [ana, 600000011])})
    ours, theirs = ([digest(i) for i in read_whole(f)[1]] for f in (plain, written(tmp_path, sheet, "list.xlsx")))
    assert (ours[0] == theirs[0], ours[1] == theirs[1]) == (True, False)


def test_ods_and_xls_are_read_too(tmp_path: Path) -> None:
    rows = [["Nombre", "Correo"], ["Ángel Muñoz", "angel@example.com"]]
    assert contents(written(tmp_path, ods(rows), "list.ods")) == [ANA]
    book = xlwt.Workbook()
    sheet = book.add_sheet("Lista")
    for n, cells in enumerate([*rows, ["Eva", date(2026, 11, 3)]]):
        for m, cell in enumerate(cells):
            sheet.write(n, m, cell, xlwt.easyxf(num_format_str="yyyy-mm-dd"))
    book.save(str(tmp_path / "list.xls"))
    assert contents(tmp_path / "list.xls") == [ANA, {"Nombre": "Eva", "Correo": "2026-11-03"}]


def test_json_lines_and_arrays_lose_bad_items_only(tmp_path: Path) -> None:
    file = written(
        tmp_path, b'{"email":"a@example.com"}\n\n{bad\n[1]\n{"a":1,"a":2}\n{"email":"b@example.com"}', "l.jsonl"
    )
    assert bad(file) == [(3, "bad_json"), (4, "not_an_object"), (5, "duplicate_key")]
    array = written(tmp_path, b'[{"email":"a@example.com"}, 7, {"email":"b@example.com"}]', "l.json")
    assert contents(file) == contents(array) == [{"email": "a@example.com"}, {"email": "b@example.com"}]


CARDS = """BEGIN:VCARD\r
VERSION:2.1\r
N;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:Mu=C3=B1oz;=C3=81n=\r
gel;;;\r
TEL;HOME:+34600000012\r
TEL;CELL:+34600000011\r
PHOTO;ENCODING=BASE64;TYPE=JPEG:AAAA\r
 BBBB\r
\r
END:VCARD\r
BEGIN:VCARD\r
VERSION:3.0\r
FN:A folded na\r
 me\r
ORG:Example Ltd;Sales\r
item1.EMAIL;type=INTERNET:other@example.com\r
EMAIL;TYPE=INTERNET,PREF:best@example.com\r
NOTE:uno\\ndos\r
END:VCARD\r
BEGIN:VCARD\r
FN:No end\r
BEGIN:VCARD\r
VERSION:4.0\r
TEL;VALUE=uri;TYPE="voice,cell":tel:+34-600-000-014\r
END:VCARD\r
"""


def test_vcards_of_all_versions_are_read_and_a_broken_one_costs_itself(tmp_path: Path) -> None:
    file = written(tmp_path, CARDS.encode(), "contacts.vcf")
    assert contents(file) == [
        {"given_name": "Ángel", "family_name": "Muñoz", "name": "Ángel Muñoz", "phone": "+34600000011",
         "phone_2": "+34600000012"},
        {"name": "A folded name", "company": "Example Ltd", "department": "Sales", "email": "best@example.com",
         "email_2": "other@example.com", "message": "uno\ndos"},
        {"phone": "+34-600-000-014"},
    ]  # fmt: skip
    assert bad(file) == [(20, "no_end")]
    assert "AAAA" not in "".join(item.raw for item in read_whole(file)[1] if hasattr(item, "raw"))


@pytest.mark.parametrize(
    ("data", "name", "said"),
    [(b"%PDF-1.7", "x.csv", "PDF"), (b"\x1f\x8b\x08", "x.csv", "gzip"), (b"<html><table>", "x.xls", "web page"),
     (bytes(range(256)) * 4, "x.csv", "no list that is read.*CSV, TSV, XLSX, .* are; .*--encoding"),
     (b"\xff\xfe" + b"\x05\x00\x00\x00" * 99, "x.vcf", "no list that is read"),
     ("姓名".encode("sjis") * 9, "x.csv", "name it with --encoding"),
     (b"PK\x03\x04 cut", "x.xlsx", "cut off"), (b" \n\n", "x.csv", "empty"), (b"", "x.csv", "empty")],
)  # fmt: skip
def test_what_is_no_list_is_refused_with_what_to_do(tmp_path: Path, data: bytes, name: str, said: str) -> None:
    with pytest.raises(FileRefused, match=said):
        read_whole(written(tmp_path, data, name))


def test_the_content_says_what_a_file_is_and_not_its_suffix(tmp_path: Path) -> None:
    assert read_whole(written(tmp_path, xlsx({"A": row(1, ["Correo"]) + row(2, ["x"])}), "list.csv"))[0].kind == "sheet"
    assert read_whole(written(tmp_path, CARDS.encode(), "list.txt"))[0].kind == "vcard"
    assert read_whole(written(tmp_path, b"email;name\na@example.com;A\n", "list.xls"))[0].kind == "delimited"


def test_dates_of_lists_are_read_day_first_unless_they_show_otherwise() -> None:
    assert iso("03/04/2026 9:05", day_first([], "ES")) == "2026-04-03T09:05:00"
    assert iso("03/04/26", day_first(["01/02/2026", "04/25/2026"], "ES")) == "2026-03-04"
    assert iso("03/04/2026", day_first([], "US")) == "2026-03-04"
    assert iso("yesterday", True) == "yesterday"
