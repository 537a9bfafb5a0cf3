"""Spans, as the SDK writes them, and their export."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
from lifecycle_opentelemetry.spans import MOST, Outbox, write
from lifecycle_opentelemetry.traces import SpanEvent, SpanRecord
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

LOGGER = logging.getLogger("opentelemetry.exporter.kept")
RECORD = SpanRecord(
    "lifecycle drain",
    1000.0,
    1008.5,
    {"process.exit.code": 124, "pod_lifecycle.services": ["orders"]},
    [SpanEvent("DRAINING", 1000.0, {"pod_lifecycle.cause": "SIGTERM"})],
    [SpanRecord("wait", 1000.0, 1006.5), SpanRecord("stop", 1006.5, 1008.0)],
    "Exit code 124",
)


class Kept(SpanExporter):
    """Keeps what it gets, or fails."""

    def __init__(self, *, fails: bool = False) -> None:
        self.batches: list[Sequence[ReadableSpan]] = []
        self.fails = fails

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        if self.fails:
            LOGGER.warning("the collector is %s", "away")
            return SpanExportResult.FAILURE
        self.batches.append(spans)
        return SpanExportResult.SUCCESS

    @property
    def spans(self) -> list[ReadableSpan]:
        return [span for batch in self.batches for span in batch]


def tracer(outbox: Outbox):
    return outbox.provider.get_tracer("test")


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def outbox(kept: Kept) -> Outbox:
    return Outbox([kept], Resource({"a": "b"}))


def test_a_span_with_its_steps(outbox: Outbox, kept: Kept) -> None:
    """At their times, with the error as the status."""
    write(tracer(outbox), RECORD)
    assert outbox.send() == ""
    wait, stop, drain = kept.spans
    assert (drain.start_time, drain.end_time) == (1000_000_000_000, 1008_500_000_000)
    assert drain.attributes == {"process.exit.code": 124, "pod_lifecycle.services": ("orders",)}
    assert drain.status.description == "Exit code 124"
    assert not drain.status.is_ok
    [event] = drain.events
    assert (event.name, event.timestamp) == ("DRAINING", 1000_000_000_000)
    assert stop.start_time == wait.end_time == 1006_500_000_000
    assert stop.parent is not None
    assert stop.parent.span_id == drain.context.span_id
    assert drain.resource.attributes == {"a": "b"}


def test_the_drain_links_to_the_start(outbox: Outbox, kept: Kept) -> None:
    """Each is a trace of its own, whatever the app's current span is."""
    app = tracer(outbox)
    with app.start_as_current_span("the app's"):
        start = write(app, SpanRecord("lifecycle start", 1.0, 2.0))
        write(app, RECORD, start)
    outbox.send()
    found = {span.name: span for span in kept.spans}
    drain = found["lifecycle drain"]
    assert drain.parent is None
    assert found["lifecycle start"].parent is None
    assert [link.context.span_id for link in drain.links] == [start.span_id]
    assert drain.context.trace_id != start.trace_id


def test_what_was_not_exported_is_exported_the_next_time(outbox: Outbox, kept: Kept) -> None:
    """The collector may be away at the start; the problem is what the exporter has logged."""
    kept.fails = True
    write(tracer(outbox), RECORD)
    assert outbox.send() == "the collector is away"
    kept.fails = False
    write(tracer(outbox), RECORD._replace(name="second", children=()))
    assert outbox.send() == ""
    assert [span.name for span in kept.spans] == ["wait", "stop", "lifecycle drain", "second"]
    assert outbox.send() == ""
    assert len(kept.batches) == 1


def test_two_exporters_of_which_one_fails(kept: Kept) -> None:
    """The other one gets each span once."""
    outbox = Outbox([Kept(fails=True), kept], Resource({}))
    write(tracer(outbox), RECORD)
    assert outbox.send() == "the collector is away"
    assert outbox.send() == ""
    assert len(kept.spans) == 3


def test_the_number_of_waiting_spans_is_limited(outbox: Outbox, kept: Kept) -> None:
    """The newest ones stay."""
    kept.fails = True
    for number in range(MOST + 5):
        write(tracer(outbox), SpanRecord(str(number), 1.0, 2.0))
        if number % 100 == 0:
            outbox.send()
    kept.fails = False
    outbox.send()
    assert [span.name for span in kept.spans] == [str(n) for n in range(5, MOST + 5)]


def test_a_sampler_decides_about_these_spans_too(
    monkeypatch: pytest.MonkeyPatch, kept: Kept
) -> None:
    """As the user has configured it."""
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    outbox = Outbox([kept], Resource({}))
    write(tracer(outbox), RECORD)
    assert outbox.send() == ""
    assert not kept.batches


def test_an_exporter_that_raises(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its error is the problem."""

    def export(_: object) -> SpanExportResult:
        raise RuntimeError("two\nlines")

    monkeypatch.setattr(kept, "export", export)
    outbox = Outbox([kept], Resource({}))
    write(tracer(outbox), RECORD)
    assert outbox.send() == "RuntimeError: two\nlines"


def test_exports_do_not_overlap(outbox: Outbox, kept: Kept, monkeypatch) -> None:
    """That of the start may still run when the drain ends."""
    running, goes_on = threading.Event(), threading.Event()
    export, under_way = kept.export, []

    def slow(spans: Sequence[ReadableSpan]) -> SpanExportResult:
        under_way.append(len(spans))
        assert len(under_way) == 1
        running.set()
        assert goes_on.wait(20)
        under_way.pop()
        return export(spans)

    monkeypatch.setattr(kept, "export", slow)
    write(tracer(outbox), RECORD)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(outbox.send)
        assert running.wait(20)
        write(tracer(outbox), RECORD)
        second = threads.submit(outbox.send)
        goes_on.set()
        assert (first.result(20), second.result(20)) == ("", "")
    assert len(kept.spans) == 6
