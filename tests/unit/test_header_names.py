"""Header names that are not UTF-8, where kafka-python takes records apart; the real broker's turn is in integration."""

import pytest
from kafka.record.memory_records import MemoryRecords, MemoryRecordsBuilder

from services.runtime.kafka.header_names import tolerate


class Raw(str):
    """A header name that goes out as these very bytes."""

    def encode(self, *_: object) -> bytes:
        return b"na\xffme"


HEADERS = [("größe", b"1"), (Raw(), b"2"), ("empty", None), (Raw(), b"na\xffme")]
READ = [("größe", b"1"), ("na?me", b"2"), ("empty", None), ("na?me", b"na\xffme")]


@pytest.mark.parametrize("compression", [0, 1], ids=["plain", "gzip"])
def test_every_record_of_a_batch_is_read_though_names_are_no_text(compression: int) -> None:
    builder = MemoryRecordsBuilder(magic=2, compression_type=compression, batch_size=100_000)
    for key, value, headers in (
        (b"a", b"before", [("ce_id", b"1")]), (None, b"na\xffme", HEADERS), (b"na\xffme", None, HEADERS),
        (b"d", b"x" * 500, [("ce_id", b"4")]),
    ):  # fmt: skip
        assert builder.append(timestamp=1, key=key, value=value, headers=headers)
    builder.close()
    tolerate()
    batch = MemoryRecords(bytes(builder.buffer())).next_batch()
    assert batch.validate_crc()
    assert [(r.key, r.value, r.headers) for r in batch] == [
        (b"a", b"before", [("ce_id", b"1")]), (None, b"na\xffme", READ), (b"na\xffme", None, READ),
        (b"d", b"x" * 500, [("ce_id", b"4")]),
    ]  # fmt: skip
