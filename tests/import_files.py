"""Files of the import tests: small spreadsheets made by hand, and one call that reads a file whole."""

import zipfile
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

from services.intake.files.faults import BadRow
from services.intake.files.items import Item
from services.intake.files.layout import Asked, Layout, look, read
from services.intake.files.opened import opened

_SHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml."
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_DOCUMENT = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006/"


def read_whole(path: Path, asked: Asked | None = None) -> tuple[Layout, list[Item | BadRow]]:
    with opened(path) as stream:
        layout = look(stream, path, asked or Asked())
        return layout, list(read(stream, layout))


def contents(path: Path, asked: Asked | None = None) -> list[dict[str, object]]:
    return [dict(item.content) for item in read_whole(path, asked)[1] if isinstance(item, Item)]


def bad(path: Path) -> list[tuple[int, str]]:
    return [(row.number, row.code) for row in read_whole(path)[1] if isinstance(row, BadRow)]


def xlsx(sheets: dict[str, str], extra: dict[str, bytes] | None = None) -> bytes:
    """A workbook of these sheets, each given as the XML inside `sheetData`."""
    ids = range(1, len(sheets) + 1)
    names = "".join(f'<sheet name="{n}" sheetId="{i}" r:id="rId{i}"/>' for i, n in zip(ids, sheets, strict=True))
    links = "".join(
        f'<Relationship Id="rId{i}" Type="{_DOCUMENT}/worksheet" Target="worksheets/sheet{i}.xml"/>' for i in ids
    )
    types = "".join(
        f'<Override PartName="/xl/worksheets/sheet{i}.xml" ContentType="{_SHEET}worksheet+xml"/>' for i in ids
    )
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}content-types"><Default Extension="rels" ContentType="appli'
        'cation/vnd.openxmlformats-package.relationships+xml"/><Override PartName="/xl/workbook.xml" '
        f'ContentType="{_SHEET}sheet.main+xml"/>{types}</Types>',
        "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}relationships"><Relationship Id="rId1" '
        f'Type="{_DOCUMENT}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_DOCUMENT}"><sheets>{names}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_PACKAGE}relationships">{links}</Relationships>',
    }
    for i, rows in zip(ids, sheets.values(), strict=True):
        parts[f"xl/worksheets/sheet{i}.xml"] = f'<worksheet xmlns="{_MAIN}"><sheetData>{rows}</sheetData></worksheet>'
    made = BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
        for name, content in (extra or {}).items():
            archive.writestr(name, content)
    return made.getvalue()


def row(number: int, cells: Sequence[str | int | float]) -> str:
    """One row of a sheet as XML."""
    found = []
    for place, cell in enumerate(cells):
        at = f"{chr(65 + place)}{number}"
        if isinstance(cell, str):
            found.append(f'<c r="{at}" t="inlineStr"><is><t>{cell}</t></is></c>')
        else:
            found.append(f'<c r="{at}"><v>{cell}</v></c>')
    return f'<row r="{number}">{"".join(found)}</row>'


def ods(rows: Sequence[Sequence[str]], attributes: str = "") -> bytes:
    """An OpenDocument spreadsheet of one sheet; `attributes` stand on its last cell."""
    cells = [
        [f'<table:table-cell office:value-type="string"><text:p>{cell}</text:p></table:table-cell>' for cell in r]
        for r in rows
    ]
    cells[-1][-1] = cells[-1][-1].replace("<table:table-cell", f"<table:table-cell {attributes}", 1)
    body = "".join(f"<table:table-row>{''.join(r)}</table:table-row>" for r in cells)
    urn = "urn:oasis:names:tc:opendocument:xmlns"
    content = (
        f'<office:document-content xmlns:office="{urn}:office:1.0" xmlns:table="{urn}:table:1.0" '
        f'xmlns:text="{urn}:text:1.0"><office:body><office:spreadsheet><table:table table:name="Lista">{body}'
        "</table:table></office:spreadsheet></office:body></office:document-content>"
    )
    made = BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet", zipfile.ZIP_STORED)
        archive.writestr("content.xml", content)
        archive.writestr("META-INF/manifest.xml", "<manifest/>")
    return made.getvalue()
