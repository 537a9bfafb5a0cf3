"""
A receiver of OTLP, over HTTP and over gRPC, made of the published protobufs.

What it receives is what a collector would: the bytes of the real exporters. A real collector is in
`collector.py`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, TypeVar

import grpc
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2, logs_service_pb2_grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

T = TypeVar("T")

LIMIT = 20.0
"""Seconds for anything on a busy machine."""

_SERVICES = {
    "/v1/traces": trace_service_pb2.ExportTraceServiceRequest,
    "/v1/metrics": metrics_service_pb2.ExportMetricsServiceRequest,
    "/v1/logs": logs_service_pb2.ExportLogsServiceRequest,
}


class Span(NamedTuple):
    """One span that has arrived."""

    name: str
    trace_id: bytes
    span_id: bytes
    parent: bytes
    seconds: float
    attributes: Mapping[str, Any]
    events: list[str]
    error: str
    links: list[bytes]
    resource: Mapping[str, Any]


class Received:
    """What has arrived. Any thread may add to it, and wait for it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.spans: list[Span] = []
        self.values: dict[tuple[Any, ...], Any] = {}
        self.kinds: dict[str, str] = {}
        self.logs: list[str] = []
        self.resources: list[Mapping[str, Any]] = []

    def add(self, message: Any) -> None:
        """Add the content of a request."""
        with self._changed:
            for each in getattr(message, "resource_spans", ()):
                resource = _attributes(each.resource.attributes)
                spans = [span for scope in each.scope_spans for span in scope.spans]
                self.spans += [_span(span, resource) for span in spans]
            for each in getattr(message, "resource_metrics", ()):
                self.resources.append(_attributes(each.resource.attributes))
                for scope in each.scope_metrics:
                    for metric in scope.metrics:
                        self._add_metric(metric)
            for each in getattr(message, "resource_logs", ()):
                for scope in each.scope_logs:
                    self.logs += [record.body.string_value for record in scope.log_records]
            self._changed.notify_all()

    def _add_metric(self, metric: Any) -> None:
        kind = metric.WhichOneof("data")
        self.kinds[metric.name] = kind
        for point in getattr(metric, kind).data_points:
            key = metric.name, *sorted(_attributes(point.attributes).items())
            if kind == "histogram":
                self.values[key] = point.count, round(point.sum, 6)
            else:
                self.values[key] = getattr(point, point.WhichOneof("value"))

    def value(self, name: str, **attributes: str) -> Any:
        """Return the last value of one series of ours, or None."""
        return self.values.get((f"pod_lifecycle_{name}", *sorted(attributes.items())))

    def wait(self, condition: Callable[[Received], T], what: str) -> T:
        """Wait until a condition gives something true, and return that."""
        deadline = time.monotonic() + LIMIT
        with self._changed:
            while not (found := condition(self)):
                left = deadline - time.monotonic()
                assert left > 0, f"not within {LIMIT:g} s: {what}. There are: {self.names()}"
                self._changed.wait(left)
            return found

    def names(self) -> list[str]:
        """Return the names of all spans, in the order in which they came."""
        return [each.name for each in self.spans]

    def span(self, name: str) -> Span:
        """Wait for the one span of a name."""
        found = self.wait(lambda now: [each for each in now.spans if each.name == name], name)
        assert len(found) == 1, self.names()
        return found[0]

    def children(self, span: Span) -> list[Span]:
        """Return the spans of its steps, in their order."""
        return [each for each in self.spans if each.parent == span.span_id]


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(each) for each in value.array_value.values]
    return getattr(value, kind) if kind else None


def _span(span: Any, resource: Mapping[str, Any]) -> Span:
    return Span(
        span.name,
        span.trace_id,
        span.span_id,
        span.parent_span_id,
        (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
        _attributes(span.attributes),
        [event.name for event in span.events],
        span.status.message if span.status.code == span.status.STATUS_CODE_ERROR else "",
        [link.span_id for link in span.links],
        resource,
    )


class Receiver(Received):
    """
    A receiver that runs.

    Attributes:
        http: The address for OTLP over HTTP.
        grpc: The address for OTLP over gRPC.
    """

    http: str
    grpc: str

    def env(self, protocol: str = "http", **more: str) -> dict[str, str]:
        """Return the variables that an app needs."""
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": getattr(self, protocol), **_CHOSEN[protocol], **more}


_CHOSEN = {
    "http": {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"},
    "grpc": {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
}


@contextmanager
def receiver(port: int = 0) -> Iterator[Receiver]:
    """Run a receiver; on this port over HTTP."""
    found = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.add(_SERVICES[self.path].FromString(body))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    web = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    web.daemon_threads = True
    thread = threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    found.http = f"http://127.0.0.1:{web.server_port}"
    server = grpc.server(ThreadPoolExecutor(8))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(
        _servicer(found, trace_service_pb2.ExportTraceServiceResponse), server
    )
    metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(
        _servicer(found, metrics_service_pb2.ExportMetricsServiceResponse), server
    )
    logs_service_pb2_grpc.add_LogsServiceServicer_to_server(
        _servicer(found, logs_service_pb2.ExportLogsServiceResponse), server
    )
    found.grpc = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield found
    finally:
        server.stop(0.1).wait(LIMIT)
        web.shutdown()
        web.server_close()
        thread.join(LIMIT)


def _servicer(found: Receiver, response: Any) -> Any:
    class Servicer:
        def Export(self, request: Any, context: Any) -> Any:  # noqa: N802
            found.add(request)
            return response()

    return Servicer()
