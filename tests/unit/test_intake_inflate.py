"""Compressed bodies: unpacked once, within bounds, whatever they are labelled as."""

import gzip
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.intake.answers import Problem
from services.intake.inflate import inflate

LIMIT = 1000
LEAD = b'{"email": "ana@example.com"}'
ZIPPED = gzip.compress(LEAD)


def bare(content: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(content) + packer.flush()


def refusal(body: bytes, encoding: str = "") -> tuple[int, str]:
    found = inflate(body, LIMIT, encoding)
    assert isinstance(found, Problem)
    return found.status, found.code


@pytest.mark.parametrize("label", ["", "gzip", "identity", "br", "deflate", "x, y"])
def test_gzip_is_known_by_its_first_bytes(label: str) -> None:
    assert inflate(ZIPPED, LIMIT, label) == LEAD


@pytest.mark.parametrize("label", ["", "gzip", "deflate", "DEFLATE", "br", "zstd"])
def test_what_is_not_compressed_stays_as_it_is_whatever_it_is_called(label: str) -> None:
    for body in (LEAD, b"", b"\x1f", b"email=a%40example.com"):
        assert inflate(body, LIMIT, label) == body


@pytest.mark.parametrize("packed", [zlib.compress(LEAD), bare(LEAD)])
def test_deflate_is_read_with_and_without_its_wrapping(packed: bytes) -> None:
    assert inflate(packed, LIMIT, " Deflate ") == LEAD


def test_several_members_are_one_body() -> None:
    assert inflate(gzip.compress(LEAD[:9]) + gzip.compress(b"") + gzip.compress(LEAD[9:]) + b"\x00" * 9, LIMIT) == LEAD


@pytest.mark.parametrize("cut", range(2, len(ZIPPED)))
def test_a_stream_that_is_cut_off_is_refused(cut: int) -> None:
    assert refusal(ZIPPED[:cut]) == (400, "bad_gzip")


@pytest.mark.parametrize(
    "body",
    [ZIPPED[:-8] + b"\x00" * 8, ZIPPED + b"x", ZIPPED + ZIPPED[:9], b"\x1f\x8b" + LEAD, b"\x1f\x8b\x00",
     gzip.compress(b"") * 65],
)  # fmt: skip
def test_a_damaged_stream_is_refused(body: bytes) -> None:
    assert refusal(body) == (400, "bad_gzip")


@pytest.mark.parametrize(
    ("body", "label"),
    [(gzip.compress(ZIPPED), ""), (gzip.compress(ZIPPED[:1]) + gzip.compress(ZIPPED[1:]), ""),
     (zlib.compress(ZIPPED), "deflate"), (gzip.compress(gzip.compress(ZIPPED)), "gzip")],
)  # fmt: skip
def test_what_is_compressed_twice_is_refused(body: bytes, label: str) -> None:
    assert refusal(body, label) == (400, "bad_gzip")


@pytest.mark.parametrize("more", [0, 1])
def test_the_limit_is_on_what_comes_out(more: int) -> None:
    content = b"x" * (LIMIT + more)
    for body, label in ((gzip.compress(content), ""), (zlib.compress(content), "deflate"), (bare(content), "deflate")):
        assert inflate(body, LIMIT, label) == content if not more else refusal(body, label) == (413, "too_large")
    half = gzip.compress(content[:500]) + gzip.compress(content[500:])
    assert inflate(half, LIMIT) == content if not more else refusal(half) == (413, "too_large")


@pytest.mark.parametrize("packed", [gzip.compress(b"\x00" * 50_000_000, 9), gzip.compress(b"\x00" * 2_000_000) * 64])
def test_a_bomb_is_put_out_before_it_fills_the_memory(packed: bytes) -> None:
    tracemalloc.start()
    try:
        assert refusal(packed) == (413, "too_large")
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@given(st.binary(max_size=100), st.sampled_from(["", "gzip", "deflate"]))
def test_no_bytes_raise(body: bytes, label: str) -> None:
    assert isinstance(inflate(b"\x1f\x8b" + body, LIMIT, label), bytes | Problem)
    assert isinstance(inflate(body, LIMIT, label), bytes | Problem)
