"""Reading a request's body within bounds of size and time, and its items in whatever form they come."""

from __future__ import annotations

import asyncio
import re
import types
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, Headers
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.types import Receive

from services.intake.answers import Problem
from services.intake.brackets import nested
from services.intake.inflate import inflate
from services.intake.parse import Unparsed, form_text, item_text, pairs_text, parse_form, parse_json
from services.intake.xmltree import parse_xml, xml_text

MOST_BYTES = 8_388_608
MOST_ITEM_BYTES = 262_144
MOST_ITEMS = 1000
_BODY_WITHIN_S = 15.0
BLANK = b"\xef\xbb\xbf \t\r\n"  # a BOM and white space
SWALLOW_BYTES = 33_554_432  # of a refused body; the connection of a larger one is cut

CHARSET = re.compile(
    r"charset=\"?(iso-8859-(?:1[013-6]|[1-9])|(?:windows-|cp)125[0-8]|koi8-[ru]|shift_jis|euc-(?:jp|kr)|big5|gbk)\b"
)
"""The charsets of web pages; of those that Python knows beside them, some are none."""

TOO_LARGE = Problem(413, "too_large", f"the body is larger than {MOST_BYTES} bytes; send fewer leads in one batch")
EMPTY_BATCH = Problem(422, "empty_batch", "the batch is empty; send at least one item")
ITEM_TOO_LARGE = Problem(413, "too_large", f"one item has at most {MOST_ITEM_BYTES} bytes")


@dataclass(frozen=True, slots=True)
class Items:
    """The items of one request, each with its text as sent; a batch is answered item by item."""

    contents: tuple[Any, ...]
    raws: tuple[str, ...]
    batch: bool


async def read_body(headers: Mapping[str, str], receive: Receive) -> bytes | Problem:
    """The whole body, or why it was not taken."""
    length = int(headers.get("content-length", "0")[:20])  # the HTTP parser lets only digits pass
    if length > MOST_BYTES:
        return TOO_LARGE.closing(length > SWALLOW_BYTES)
    receiving = _received(receive)
    try:
        waits_for = receiving.send(None)
    except StopIteration as done:  # it is there already: no clock, whose setting takes as long as reading a body
        return cast(bytes | Problem, done.value)
    try:
        async with asyncio.timeout(_BODY_WITHIN_S):
            return await _resumed(receiving, waits_for)
    except TimeoutError:
        return Problem(408, "too_slow", f"the body did not arrive within {_BODY_WITHIN_S:.0f} s", close=True)


@types.coroutine
def _resumed(receiving: Coroutine[Any, Any, bytes | Problem], waits_for: Any) -> Generator[Any, Any, bytes | Problem]:
    """The result of a coroutine that was begun and `waits_for` something."""
    try:
        yield waits_for
    except BaseException:
        receiving.close()
        raise
    return cast(bytes | Problem, (yield from receiving))


async def _received(receive: Receive) -> bytes | Problem:
    chunks: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return Problem(400, "cut_off", "the body was cut off")
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        more = message.get("more_body", False)
        if size > MOST_BYTES:
            return TOO_LARGE.closing(True)
    return b"".join(chunks)


async def opened(headers: Mapping[str, str], body: bytes) -> bytes | Problem:
    """The body unpacked, where it came compressed."""
    encoding = headers.get("content-encoding", "")
    if len(body) > MOST_ITEM_BYTES:
        return await asyncio.to_thread(inflate, body, MOST_BYTES, encoding)
    return inflate(body, MOST_BYTES, encoding)


async def read_items(content_type: str, body: bytes) -> Items | Problem:
    """The items in a body: a JSON object, array or `{"leads": [...]}`, or a form."""
    if len(body) > MOST_ITEM_BYTES:  # one of 8 MB may take a second, and others wait for their answers
        return await asyncio.to_thread(_read_items, content_type, body)
    return _read_items(content_type, body)


def read_content(content_type: str, body: bytes) -> tuple[Any, str] | Problem:
    """What a body holds, whatever its label says, and its text as sent."""
    start = body[:64].lstrip(BLANK)[:1]
    if not start and not body.strip(BLANK):
        return Problem(400, "empty_body", "the body is empty; send a JSON object or a form")
    if start not in (b"{", b"["):  # JSON is often mislabelled
        kind = content_type.partition(";")[0].strip().lower()
        if start == b"<" or kind.endswith("xml"):
            return _parsed(parse_xml(body), xml_text, body)
        if kind == "application/x-www-form-urlencoded":
            return _parsed(parse_form(body), form_text, body)
        if kind == "multipart/form-data":
            return read_multipart(content_type, body)
    return _parsed(parse_json(body), bytes.decode, body)


def _parsed(content: Any, text_of: Callable[[bytes], str], body: bytes) -> tuple[Any, str] | Problem:
    if isinstance(content, Unparsed):
        return Problem(400, content.code, content.message)
    return content, text_of(body)


def _read_items(content_type: str, body: bytes) -> Items | Problem:
    read = read_content(content_type, body)
    if isinstance(read, Problem):
        return read
    content, raw = read
    leads = content.get("leads") if isinstance(content, dict) else content
    if isinstance(leads, list):
        return _batch(leads)
    return Items((content,), (raw,), batch=False) if len(body) <= MOST_ITEM_BYTES else ITEM_TOO_LARGE


def _batch(contents: list[Any]) -> Items | Problem:
    if not contents:
        return EMPTY_BATCH
    if len(contents) > MOST_ITEMS:
        return Problem(413, "too_many", f"a batch has at most {MOST_ITEMS} items, this one has {len(contents)}")
    return Items(tuple(contents), tuple(map(item_text, contents)), batch=True)


def read_multipart(content_type: str, body: bytes, files: int = 0) -> tuple[Any, str] | Problem:
    """The fields of a multipart form; of at most so many files beside them the name alone."""
    if len(body) > (MOST_BYTES if files else MOST_ITEM_BYTES):
        return ITEM_TOO_LARGE

    async def stream() -> AsyncGenerator[bytes, None]:
        yield body

    parser = MultiPartParser(_labelled(content_type), stream(), max_files=files, max_fields=500)
    parser.spool_max_size = MOST_BYTES + 1  # nothing of it is written to a disk, so nothing waits for one
    try:
        form = _at_once(parser.parse())
    except MultiPartException as error:
        return Problem(400, "bad_form", f"the form cannot be read: {error.message}")
    pairs = [(n, value if isinstance(value, str) else value.filename or "") for n, value in form.multi_items()]
    return nested(pairs), pairs_text(pairs)


def _labelled(content_type: str) -> Headers:
    """The label of a form with its boundary and a charset of web pages, else UTF-8, and nothing else."""
    declared, (_, said) = CHARSET.search(content_type.lower()), parse_options_header(content_type)
    label = f"multipart/form-data; charset={declared[1] if declared else 'utf-8'}"
    boundary = said.get(b"boundary", b"").decode("latin-1")
    return Headers({"content-type": f'{label}; boundary="{boundary}"' if boundary and '"' not in boundary else label})


def _at_once(parsing: Coroutine[Any, Any, FormData]) -> FormData:
    """The result of a coroutine that waits for nothing but a stream that is there."""
    try:
        parsing.send(None)
    except StopIteration as done:
        return cast(FormData, done.value)
    raise AssertionError("a multipart parser without files waited for something")
