"""A processor of log records that notices the shutdown of its provider."""

from __future__ import annotations

from opentelemetry.sdk._logs import LogRecordProcessor


class LogMark(LogRecordProcessor):
    """
    Does nothing with log records.

    Attributes:
        is_shut_down: True if the provider was shut down.
    """

    is_shut_down = False

    def on_emit(self, *_: object, **__: object) -> None:
        return

    def enabled(self, **_: object) -> bool:
        return False  # a logger is enabled if one of its processors is

    def shutdown(self) -> None:
        self.is_shut_down = True

    def force_flush(self, *_: object, **__: object) -> bool:
        return True
