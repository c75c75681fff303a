"""In which encoding a text file is written, and its lines."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from charset_normalizer import from_bytes

from services.intake.files.faults import FileRefused

LONGEST_LINE = 262_144
"""Bytes of one line; a longer one is passed over and told of."""
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
_OF_OFFICES = ["cp1252", "mac_roman", "cp850"]
_NARROW = frozenset(("utf-8", "utf-8-sig", *_OF_OFFICES, "latin-1", "iso8859-1", "iso8859-15", "ascii"))
_CHUNK = 65_536


class Bytes(Protocol):
    """Whatever gives bytes."""

    def read(self, most: int, /) -> bytes:
        """The next bytes, none at the end."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line with its end as written; `text` is None where it is longer than any line may be."""

    number: int
    text: str | None


def encoding_of(head: bytes, whole: bool) -> str:
    """The encoding of a text from its first bytes: a BOM, zeros in every other byte, valid UTF-8, else Western."""
    for mark, name in _BOMS:
        if head.startswith(mark):
            return name
    sample = head[:4096]
    if len(sample) >= 4 and sample.count(0) * 3 > len(sample):
        return "utf-16-le" if sample[1::2].count(0) >= sample[::2].count(0) else "utf-16-be"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head, final=whole)
    except UnicodeDecodeError:
        return _western(head)
    return "utf-8"


def _western(head: bytes) -> str:
    """Windows, unless a look at the words says Macintosh or DOS; Latin-1 where Windows has no such letters."""
    best = from_bytes(head[:_CHUNK], cp_isolation=_OF_OFFICES).best()
    found = best.encoding if best and best.encoding in _OF_OFFICES else "cp1252"
    try:
        head.decode(found)
    except UnicodeDecodeError:
        return "latin-1"
    return found


def known_encoding(name: str) -> str:
    """The encoding of that name, as asked for by a person. Raises `FileRefused`."""
    try:
        info = codecs.lookup(name)
        b"a".decode(name)
    except (LookupError, UnicodeError, ValueError):
        raise FileRefused(f"no such encoding: {name}; try utf-8, cp1252, utf-16 or latin-1") from None
    return info.name


def lines(stream: Bytes, encoding: str) -> Iterator[Line]:
    """All lines of a stream, whatever ends them (LF, CR LF, CR), in constant memory. NUL bytes are left out.

    Where a line of a file that began as UTF-8 is none, that line is read as Windows writes it: files are joined.
    """
    narrow = encoding in _NARROW
    decode = encoding if narrow else "utf-8"
    for number, piece in enumerate(_pieces(_chunks(stream) if narrow else _transcoded(stream, encoding)), start=1):
        yield Line(number, None if piece is None else _decoded(piece, decode))


def _decoded(piece: bytes, encoding: str) -> str:
    try:
        text = piece.decode(encoding)
    except UnicodeDecodeError:
        text = piece.decode("cp1252", errors="replace") if encoding.startswith("utf") else piece.decode("latin-1")
    return text.replace("\x00", "") if "\x00" in text else text


def _pieces(chunks: Iterator[bytes]) -> Iterator[bytes | None]:
    """Lines as bytes, in their order; None for one that is too long."""
    rest, skipping = b"", False
    for chunk in chunks:
        parts = (rest + chunk).splitlines(keepends=True)
        rest = parts.pop() if parts and not parts[-1].endswith(b"\n") else b""
        for part in parts:
            if not skipping:
                yield part if len(part) <= LONGEST_LINE else None
            skipping = False
        if len(rest) > LONGEST_LINE:
            if not skipping:
                yield None
            skipping, rest = True, b"\r" if rest.endswith(b"\r") else b""
    if rest and not skipping:
        yield rest


def _chunks(stream: Bytes) -> Iterator[bytes]:
    while chunk := stream.read(_CHUNK):
        yield chunk


def _transcoded(stream: Bytes, encoding: str) -> Iterator[bytes]:
    """A wide encoding as UTF-8, piece by piece, so that half a letter is never met."""
    decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
    for chunk in _chunks(stream):
        yield decoder.decode(chunk).encode(errors="replace")
