"""A processor of spans that notices the shutdown of its provider."""

from __future__ import annotations

from opentelemetry.sdk.trace import SpanProcessor


class SpanMark(SpanProcessor):
    """
    Does nothing with spans.

    Attributes:
        is_shut_down: True if the provider was shut down.
    """

    is_shut_down = False

    def shutdown(self) -> None:
        self.is_shut_down = True
