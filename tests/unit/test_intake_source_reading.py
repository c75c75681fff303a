"""What a source's address reads costs no more than its size, whatever is written there."""

import tracemalloc

from services.intake.sources.mapping import by_map
from services.intake.sources.reading import read
from services.intake.sources.source import Source


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


def test_an_address_is_found_by_its_shape_on_a_topic_too_where_that_is_all_its_map() -> None:
    source = Source(name="shop", kind="kafka", email_by_shape=True)
    assert by_map({"a": "ana@example.org", "b": "roof"}, source) == {"email": "ana@example.org", "b": "roof"}
