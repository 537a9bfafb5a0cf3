"""Writes spans that are over to a tracer, and exports them."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import Sampler

from lifecycle_opentelemetry.quiet import described, overheard
from lifecycle_opentelemetry.traces import SpanRecord

MOST: Final = 1000
"""Spans that wait for an export. There are two traces of about 200 spans at most."""
NO_REASON: Final = "The exporter gave no reason."


def write(
    tracer: trace.Tracer, record: SpanRecord, before: trace.SpanContext | None = None
) -> trace.SpanContext:
    """
    Write a span and its children, as a separate trace.

    Args:
        tracer: The tracer.
        record: The span.
        before: The span that came before it in the life of the app, which it links to.

    Returns:
        The context of the span.
    """
    links = [trace.Link(before)] if before is not None and before.is_valid else []
    span = _open(tracer, record, Context(), links)
    inside = trace.set_span_in_context(span, Context())
    for child in record.children:
        _open(tracer, child, inside).end(_ns(child.ended))
    span.end(_ns(record.ended))
    return span.get_span_context()


def _open(
    tracer: trace.Tracer, record: SpanRecord, inside: Context, links: Sequence[trace.Link] = ()
) -> trace.Span:
    span = tracer.start_span(
        record.name,
        context=inside,
        attributes=record.attributes,
        links=links,
        start_time=_ns(record.began),
    )
    for event in record.events:
        span.add_event(event.name, event.attributes, _ns(event.at))
    if record.problem:
        span.set_status(trace.Status(trace.StatusCode.ERROR, record.problem))
    return span


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)


def choices_of(provider: Any) -> tuple[Resource | None, Sampler | None]:
    """Return the resource and the sampler of a provider of the app, as far as it has them."""
    resource, sampler = getattr(provider, "resource", None), getattr(provider, "sampler", None)
    return (
        resource if isinstance(resource, Resource) else None,
        sampler if isinstance(sampler, Sampler) else None,
    )


class Outbox(SpanProcessor):
    """
    Spans that wait for an export, with their own provider. Any thread may call it.

    No thread waits for new spans, as a `BatchSpanProcessor` of the SDK does, because there are only
    two traces in the life of an app.

    Args:
        exporters: Where the spans are sent.
        resource: The resource.
        sampler: The sampler, or None for that of the variables of OpenTelemetry.
    """

    def __init__(
        self, exporters: Sequence[SpanExporter], resource: Resource, sampler: Sampler | None = None
    ) -> None:
        self._exporters = exporters
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._exporting = threading.Lock()
        self._waiting: list[ReadableSpan] = []
        # Without `shutdown_on_exit`, because an exit handler would delay the end of the process.
        self.provider = TracerProvider(sampler, resource, shutdown_on_exit=False)
        self.provider.add_span_processor(self)

    def on_end(self, span: ReadableSpan) -> None:
        context = span.get_span_context()
        if context is not None and context.trace_flags.sampled:
            with self._lock:
                del self._waiting[: -MOST + 1]
                self._waiting.append(span)

    def send(self) -> str:
        """
        Export all spans that wait. If an export is running, wait for it before.

        Returns:
            The problem, or an empty text.
        """
        if os.getpid() != self._process:
            return ""  # a forked child: the spans are those of its parent
        with self._exporting:  # exporters need not support two exports at the same time
            return self._send()

    def _send(self) -> str:
        with self._lock:
            spans, self._waiting = self._waiting, []
        if not spans:
            return ""
        problems = [*filter(None, (_exported(each, spans) for each in self._exporters))]
        if len(problems) == len(self._exporters):
            with self._lock:  # nobody has got them, so the next export tries again
                self._waiting = [*spans, *self._waiting][-MOST:]
        return problems[0] if problems else ""

    def close(self) -> None:
        """Close the exporters."""
        with overheard():
            for each in self._exporters:
                each.shutdown()


def _exported(exporter: SpanExporter, spans: Sequence[ReadableSpan]) -> str:
    with overheard() as heard:
        try:
            result = exporter.export(spans)
        except Exception as error:  # noqa: BLE001 - an exporter of anybody
            return described(error)
    if result is SpanExportResult.SUCCESS:
        return ""
    return heard.reason or NO_REASON
