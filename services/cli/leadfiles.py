"""Leads in a file: JSON, JSON lines or CSV, as people and programs save them."""

from __future__ import annotations

import csv
import json
from typing import Any

Lead = dict[str, Any]


def read_leads(data: bytes) -> list[Lead]:
    """The leads in a file's bytes: a JSON object or array, one JSON object a line, or CSV with a header.

    Raises `ValueError` saying what is wrong and where.
    """
    text = _decoded(data)
    start = text.lstrip()[:1]
    found = _json(text) if start in ("{", "[") else _csv(text)
    if not found:
        raise ValueError("the file holds no lead; give a JSON object or array, JSON lines, or CSV with a header")
    return found


def _decoded(data: bytes) -> str:
    """UTF-8 with or without byte order mark; else what a Windows spreadsheet saves."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def _json(text: str) -> list[Lead]:
    try:
        whole = json.loads(text)
    except json.JSONDecodeError:
        whole = [_line(number, line) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
    leads = whole if isinstance(whole, list) else [whole]
    for number, lead in enumerate(leads, start=1):
        if not isinstance(lead, dict):
            raise ValueError(f"lead {number} is no JSON object with named fields")
    return leads


def _line(number: int, line: str) -> Any:
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"line {number} is not valid JSON: {error}") from None


def _csv(text: str) -> list[Lead]:
    """Rows by the names in the header; the separator is the one that the header holds most often."""
    header = text.partition("\n")[0]
    separator = max(";,\t|", key=header.count)
    rows = csv.DictReader(text.splitlines(keepends=True), delimiter=separator, restkey="more")
    return [{name: value for name, value in row.items() if name and value} for row in rows]
