"""The one error of the embedded parts: something about this machine is in the way, and the message says what to do."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class EmbeddedError(Exception):
    """One sentence: what is wrong on this machine, and the remedy."""


@contextmanager
def disk_errors(where: Path) -> Iterator[None]:
    """Turn what the file system refuses under `where` into an EmbeddedError that names the remedy."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise EmbeddedError(f"The disk that holds {where} is full: free some space or set CAUDAL_HOME.") from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise EmbeddedError(
                f"{error.filename or where} cannot be written: set CAUDAL_HOME to a directory of your own."
            ) from error
        raise EmbeddedError(
            f"{error.filename or where} cannot be used ({error.strerror}): set CAUDAL_HOME to a directory of your own."
        ) from error
