"""XLSX, ODS and XLS: looked at from outside first, then read by a child with little memory and little time."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from typing import BinaryIO

from services.intake.files.delimited import MOST_COLUMNS, Row
from services.intake.files.faults import BadRow, FileRefused

MOST_FILE_BYTES = 200_000_000
_MOST_ENTRIES = 5000
_MOST_DIRECTORY_BYTES = 2_000_000
_MOST_UNPACKED_BYTES = 2_000_000_000
_MOST_RATIO, _RATIO_COUNTS_FROM = 150, 10_000_000
_TAIL = 65_557  # the end record of a zip, with the longest comment
_UNREADABLE = "the spreadsheet is damaged or too large to be read; save it as CSV and import that"


def check_sheet_file(stream: BinaryIO) -> None:
    """Raises `FileRefused` for a spreadsheet that is too large, or a zip that is not what it says."""
    size = os.fstat(stream.fileno()).st_size
    if size > MOST_FILE_BYTES:
        raise FileRefused(f"a spreadsheet has at most {MOST_FILE_BYTES // 10**6} MB; save it as CSV and import that")
    stream.seek(0)
    is_zip = stream.read(2) == b"PK"
    if is_zip:
        _check_zip(stream, size)
    stream.seek(0)


def _check_zip(stream: BinaryIO, size: int) -> None:
    stream.seek(max(0, size - _TAIL))
    tail = stream.read(_TAIL)
    place = tail.rfind(b"PK\x05\x06")
    if place < 0 or len(tail) < place + 22:
        raise FileRefused("the spreadsheet is cut off: its end is missing; get it anew")
    entries, directory = struct.unpack("<HI", tail[place + 10 : place + 16])
    if entries > _MOST_ENTRIES or directory > _MOST_DIRECTORY_BYTES:
        raise FileRefused(f"the spreadsheet's archive holds more than {_MOST_ENTRIES} parts; no table needs so many")
    try:
        parts = zipfile.ZipFile(stream).infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        raise FileRefused(_UNREADABLE) from None
    unpacked, packed = sum(p.file_size for p in parts), sum(p.compress_size for p in parts)
    bomb = unpacked > _RATIO_COUNTS_FROM and unpacked > packed * _MOST_RATIO
    if unpacked > _MOST_UNPACKED_BYTES or bomb:
        message = f"the spreadsheet unpacks to {unpacked // 10**6} MB from {packed // 10**3} kB: it is not read"
        raise FileRefused(message + "; save it as CSV and import that")
    names = {p.filename for p in parts}
    if not any(n.startswith("xl/") for n in names) and "content.xml" not in names:
        raise FileRefused("the file is a zip archive and no spreadsheet; unpack it first")


class Sheet:
    """The rows of one sheet, as a child reads them. Known once it is made: `name`, `names`, and `others` not empty."""

    def __init__(self, stream: BinaryIO, wanted: str | None) -> None:
        check_sheet_file(stream)
        descriptor = stream.fileno()
        self._child = subprocess.Popen(
            [sys.executable, "-m", "services.intake.files.sheetchild", str(descriptor), wanted or ""],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, pass_fds=(descriptor,),
        )  # fmt: skip
        assert self._child.stdout is not None  # noqa: S101 - it was asked for
        self._lines = self._child.stdout
        said = json.loads(self._lines.readline() or b"{}")
        if "name" not in said:
            self.close()
            raise FileRefused(said.get("error", _UNREADABLE))
        self.name: str = said["name"]
        self.names: list[str] = said["names"]
        self.others: list[str] = said["others"]

    def __iter__(self) -> Iterator[Row | BadRow]:
        """Rows that hold anything, with the numbers that they have in the sheet. Raises `FileRefused` midway."""
        ended = False
        for line in self._lines:
            number, cells = json.loads(line)
            if number == 0:
                ended = True
            elif len(cells) > MOST_COLUMNS:
                message = f"the row has more than {MOST_COLUMNS} cells"
                yield BadRow(number, tuple(cells[:20]), "too_many_columns", message)
            else:
                yield Row(number, tuple(cells))
        if not ended:
            raise FileRefused(_UNREADABLE)

    def close(self) -> None:
        """Let the child go."""
        with suppress(ProcessLookupError):
            self._child.kill()
        self._lines.close()
        self._child.wait()
