"""Whether a file is a list at all, before anything of it is sent: it has rows, and leads can be reached."""

from __future__ import annotations

from collections.abc import Sequence
from typing import BinaryIO

from services.intake.files.faults import FileRefused
from services.intake.files.jobs import Job
from services.intake.files.layout import Layout, read
from services.intake.files.mapping import Mapped

_REACH = frozenset({"email", "phone"})
_TABLES = frozenset({"delimited", "sheet"})


def check_reach(stream: BinaryIO, layout: Layout, mapped: Sequence[Mapped], job: Job) -> None:
    """Raises `FileRefused` for a file without rows, and for a table of leads none of whose columns reaches anybody."""
    place = f"sheet {layout.sheet!r}" if layout.kind == "sheet" else "the file"
    columns = ", ".join(layout.columns[:40]) or "none"
    other = f"; --sheet takes another of its sheets: {', '.join(layout.others)}" if layout.others else ""
    if not layout.sample and next(read(stream, layout), None) is None:
        raise FileRefused(f"{place} has no row below its header; its columns are {columns}{other}")
    reach = {m.field for m in mapped} | job.defaults.keys()
    if job.what == "leads" and layout.kind in _TABLES and _REACH.isdisjoint(reach):
        said = f"no column of {place} is read as an e-mail or a phone, so nobody could be reached"
        raise FileRefused(f'{said}; its columns are {columns}: say which one is, with --map "COLUMN=email"{other}')
