"""
Replaces what exporters log by one message.

If a collector is unavailable, the exporters of OpenTelemetry log each try, some of them with a traceback,
through the standard logging of the app. For the exporters of this plugin, nothing of this is shown.
The last error and the last warning become the reason in one warning of pod-lifecycle.

The exporters of the app are not affected, even if they are of the same class, except by the flush
at the end.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from lifecycle_opentelemetry.text import bounded

LONGEST: Final = 500
"""Characters of a reason."""
LIBRARIES: Final = ("opentelemetry.", "urllib3.", "grpc")
"""The loggers, by the start of their names, that exporters write to."""

_here = threading.local()


class Heard:
    """
    The messages of libraries. Another thread may read them.

    Attributes:
        error: The last error, or empty.
        warning: The last warning, or empty. It often has the details of the error.
    """

    error = ""
    warning = ""

    @property
    def reason(self) -> str:
        """The reason of a problem, as far as the libraries have said one."""
        return bounded(f"{self.error} {self.warning}".strip(), LONGEST)


class _Ears(logging.Filter):
    """Takes the records of threads that export for this plugin."""

    def filter(self, record: logging.LogRecord) -> bool:
        heard: Heard | None = getattr(_here, "heard", None)
        if heard is None:
            return True
        if record.levelno >= logging.ERROR:
            heard.error = _text_of(record)
        elif record.levelno >= logging.WARNING:
            heard.warning = _text_of(record)
        return False


_EARS: Final = _Ears()


@contextmanager
def overheard() -> Iterator[Heard]:
    """Take the messages that libraries log in this thread during the block."""
    _listen()
    before, _here.heard = getattr(_here, "heard", None), Heard()
    try:
        yield _here.heard
    finally:
        _here.heard = before


def _listen() -> None:
    # A logger of a module that was just imported is new.
    for name, logger in list(logging.root.manager.loggerDict.items()):
        if not name.startswith(LIBRARIES) or not isinstance(logger, logging.Logger):
            continue
        if _EARS not in logger.filters:
            logger.filters.insert(0, _EARS)  # the exporters' own filters drop what repeats


def _text_of(record: logging.LogRecord) -> str:
    try:
        text = record.getMessage()
    except Exception:  # noqa: BLE001 - a message with wrong arguments
        text = str(record.msg)
    if record.exc_info and (error := record.exc_info[1]) is not None:
        text = f"{text} {described(error)}"
    return bounded(text, LONGEST)


def described(error: BaseException) -> str:
    """Return an error as one line."""
    try:
        return bounded(f"{type(error).__name__}: {error}", LONGEST)
    except Exception:  # noqa: BLE001 - an error without a text
        return type(error).__name__
