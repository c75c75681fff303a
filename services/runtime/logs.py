"""Structured logs: one JSON line an event on standard error, with fields from a short list and never personal data."""

from __future__ import annotations

import logging
import sys
import traceback
from types import TracebackType
from typing import Any

import structlog
from structlog.typing import EventDict

_FRAMES = 12
_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def _without_message(_: Any, __: str, event: EventDict) -> EventDict:
    """An exception's type and place. Not its message: the database and pydantic quote rows and values in theirs."""
    raised = event.pop("exc_info", None)
    error = sys.exc_info()[1] if raised is True else raised
    if isinstance(error, BaseException):
        stack = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
        event.update(exception=type(error).__name__, stack=[f"{f.filename}:{f.lineno} {f.name}" for f in stack])
    return event


def _last_words(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """What ended the process: its type and place, since Python's own report quotes the message."""
    structlog.get_logger().error("process.ended", exc_info=error.with_traceback(trace), kind=kind.__name__)


def configure(service: str, level: str) -> None:
    """Set up logging of this process."""
    minimum = _LEVELS.get(level, 20)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _without_message,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(minimum),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)
    sys.excepthook = _last_words
    logging.basicConfig(level=logging.ERROR, stream=sys.stderr)
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
