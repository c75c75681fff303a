"""Header names that are not UTF-8. kafka-python calls a batch with one of them corrupt, at every poll, for ever."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kafka.errors import CorruptRecordError
from kafka.record import memory_records
from kafka.record.default_records import DefaultRecordBatch
from kafka.record.util import decode_varint

_PRINTABLE = bytes(b if b < 128 else ord("?") for b in range(256))


class TolerantBatch(DefaultRecordBatch):  # type: ignore[misc]  # kafka-python ships no types
    """A batch of records; in a header name that is not UTF-8 each byte that is not ASCII is read as `?`."""

    __slots__ = ()

    def __iter__(self) -> Iterator[Any]:
        """Records in order. A generator, since a method around each step would cost three times as much."""
        super().__iter__()
        while True:
            try:
                record = next(self, None)
            except CorruptRecordError as error:
                if not isinstance(error.__context__, UnicodeDecodeError):
                    raise
                _mend_names(self._buffer, self._pos)
                continue
            if record is None:
                return
            yield record


def tolerate() -> None:
    """Make every consumer of this process read such records; the client offers no other way in."""
    memory_records.DefaultRecordBatch = TolerantBatch


def _mend_names(buffer: bytearray, at: int) -> None:
    """Mend, in place, the names in the record that begins here (format 2: lengths and numbers are varints)."""
    for _ in ("length", "attributes", "time", "offset"):
        _, at = decode_varint(buffer, at)
    for _ in ("key", "value"):
        at = _after_bytes(buffer, at)
    count, at = decode_varint(buffer, at)
    for _ in range(count):
        size, start = decode_varint(buffer, at)
        name = buffer[start : start + size]
        try:
            name.decode()
        except UnicodeDecodeError:
            buffer[start : start + size] = name.translate(_PRINTABLE)
        at = _after_bytes(buffer, start + size)


def _after_bytes(buffer: bytearray, at: int) -> int:
    size, at = decode_varint(buffer, at)
    return int(at + max(size, 0))
