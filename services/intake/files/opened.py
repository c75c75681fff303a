"""A file of the disk as one unchanging stream: opened once, read to the size that it had then."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from services.intake.files.faults import FileRefused


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """The file at a path, links followed. Raises `FileRefused` for what is no file, is not there, or is empty."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise FileRefused(f"{path} cannot be opened: {error.strerror}") from None
    state = os.fstat(descriptor)
    if not stat.S_ISREG(state.st_mode) or state.st_size == 0:
        os.close(descriptor)
        why = "is empty: it holds no row" if stat.S_ISREG(state.st_mode) else "is no file; name the list's own file"
        raise FileRefused(f"{path} {why}")
    with os.fdopen(descriptor, "rb") as stream:
        yield stream


class UpTo:
    """A stream's bytes from the beginning to a size: what is appended while it is read is left for another time."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream, self._left = stream, size
        stream.seek(0)

    def read(self, most: int = -1) -> bytes:
        """The next bytes, none at the end. Raises `FileRefused` where the file has become shorter in the meantime."""
        wanted = self._left if most < 0 else min(most, self._left)
        found = self._stream.read(wanted) if wanted else b""
        if wanted and not found:
            raise FileRefused("the file has become shorter while it was read; import it again when it is complete")
        self._left -= len(found)
        return found
