"""Bodies that come compressed: gzip by its first bytes, whatever the headers say; deflate by its header."""

from __future__ import annotations

import zlib

from services.intake.answers import Problem

_GZIP = b"\x1f\x8b"
_AS_GZIP, _AS_ZLIB, _BARE = 31, 15, -15
_MOST_MEMBERS = 64  # of one body; each costs a copy of what follows it
_TWICE = Problem(400, "bad_gzip", "the body is compressed twice; compress it once")
_CUT_OFF = Problem(400, "bad_gzip", "the compressed body is cut off or damaged; send it again")


def inflate(body: bytes, limit: int, encoding: str = "") -> bytes | Problem:
    """The body as it was before it was compressed, of at most `limit` bytes, or why not.

    `encoding` is the Content-Encoding: where the body is not what it says, the body stays as it is.
    """
    if body.startswith(_GZIP):
        return _once(_inflated(body, limit, _AS_GZIP))
    if encoding.strip().lower() == "deflate":
        forms = (_inflated(body, limit, form) for form in (_AS_ZLIB, _BARE))
        return next((_once(form) for form in forms if form is not _CUT_OFF), body)
    return body


def _once(content: bytes | Problem) -> bytes | Problem:
    return _TWICE if isinstance(content, bytes) and content.startswith(_GZIP) else content


def _inflated(body: bytes, limit: int, form: int) -> bytes | Problem:
    """All members of the stream, with never more than one byte beyond the limit in memory."""
    parts: list[bytes] = []
    size, rest = 0, body
    for _ in range(_MOST_MEMBERS):
        member = zlib.decompressobj(form)
        try:
            parts.append(member.decompress(rest, limit - size + 1))
        except zlib.error:
            return _CUT_OFF
        size += len(parts[-1])
        if size > limit:
            return Problem(413, "too_large", f"the body is larger than {limit} bytes when it is unpacked")
        if not member.eof:
            return _CUT_OFF
        rest = member.unused_data.lstrip(b"\x00")  # archives are padded with them
        if not rest:
            return b"".join(parts)
    return _CUT_OFF
