"""What a source's address reads costs no more than its size, whatever is written there."""

import tracemalloc

from services.intake.sources.reading import read


def test_a_comma_too_many_is_mended_beside_strings_of_any_length_in_their_own_size() -> None:
    for inside in (b"x" * 500_000, b"\\n" * 250_000, b",]" * 250_000):
        body = b'{"a": "%s",}' % inside
        tracemalloc.start()
        try:
            found = read("application/json", body)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert isinstance(found, tuple)
        assert set(found[0]) == {"a"}
        assert peak < 6 * len(body)


def test_a_string_without_an_end_is_no_json() -> None:
    for body in (b'{"a": "' + b"x,]" * 1000, b'{"a": "' + b"\\", b'{"a": 1, ' + b" " * 100_000):
        assert getattr(read("application/json", body), "code", None) == "bad_json"
