"""Which exporters the variables of OpenTelemetry choose."""

from __future__ import annotations

import pytest
from lifecycle_opentelemetry.own import exporter_classes
from lifecycle_opentelemetry.settings import GRPC, HTTP, Signal, exporters

import lifecycle

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
PROTOCOL = "OTEL_EXPORTER_OTLP_PROTOCOL"

CHOICES = [
    ({}, []),
    ({ENDPOINT: "  "}, []),
    ({ENDPOINT: "http://collector:4317"}, [GRPC]),
    ({ENDPOINT: "http://collector:4318"}, [HTTP]),
    ({ENDPOINT: "collector:4318"}, [HTTP]),
    ({ENDPOINT: "http://collector:port"}, [GRPC]),
    ({ENDPOINT: "http://collector:4318", PROTOCOL: "grpc"}, [GRPC]),
    ({ENDPOINT: "http://collector", PROTOCOL: "http/protobuf"}, [HTTP]),
    ({ENDPOINT: "http://collector:4318", PROTOCOL: "http/json"}, ["otlp_json_http"]),
    ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, [HTTP]),
    ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://collector:4318/v1/metrics"}, []),
    (
        {
            ENDPOINT: "http://collector",
            PROTOCOL: "http/protobuf",
            "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc",
        },
        [GRPC],
    ),
    ({"OTEL_TRACES_EXPORTER": "otlp"}, [GRPC]),
    ({"OTEL_TRACES_EXPORTER": "console, otlp", PROTOCOL: "http/protobuf"}, ["console", HTTP]),
    ({"OTEL_TRACES_EXPORTER": "none", ENDPOINT: "http://collector:4317"}, []),
    ({"OTEL_METRICS_EXPORTER": "none", ENDPOINT: "http://collector:4317"}, [GRPC]),
    ({"OTEL_SDK_DISABLED": "True", ENDPOINT: "http://collector:4317"}, []),
]


@pytest.mark.parametrize(("environ", "names"), CHOICES)
def test_the_exporters_of_spans(environ, names):
    """As the SDK chooses them, but only if a variable asks for an export."""
    assert exporters(Signal.TRACES, environ) == names


def test_an_unknown_protocol_is_refused_with_the_known_ones():
    """With the variable to change."""
    with pytest.raises(lifecycle.LifecycleError, match="'soap' is not supported"):
        exporters(Signal.METRICS, {ENDPOINT: "http://collector", PROTOCOL: "soap"})


def test_the_classes_of_exporters():
    """They are found by their entry points."""
    [spans] = exporter_classes(Signal.TRACES, {ENDPOINT: "http://collector:4318"})
    [metrics] = exporter_classes(Signal.METRICS, {ENDPOINT: "http://collector:4317"})
    assert spans.__module__.startswith("opentelemetry.exporter.otlp.proto.http")
    assert metrics.__module__.startswith("opentelemetry.exporter.otlp.proto.grpc")


@pytest.mark.parametrize("given", ["grpc", "http"])
def test_the_other_protocol_is_used_if_only_that_is_installed(given, monkeypatch):
    """Unless a variable chooses one: then the message says what to install."""
    from lifecycle_opentelemetry import own

    def only(group: str, name: str):
        return [] if given in name else real(group=group, name=name)

    real = own.entry_points
    monkeypatch.setattr(own, "entry_points", only)
    port = 4317 if given == "grpc" else 4318
    environ = {ENDPOINT: f"http://collector:{port}"}
    [kind] = exporter_classes(Signal.TRACES, environ)
    assert f".{given}." not in kind.__module__

    protocol = "grpc" if given == "grpc" else "http/protobuf"
    with pytest.raises(
        lifecycle.LifecycleError, match=f"pip install opentelemetry-exporter-otlp-proto-{given}"
    ):
        exporter_classes(Signal.TRACES, environ | {PROTOCOL: protocol})


def test_an_exporter_that_nobody_knows():
    """It is named as the variable names it."""
    with pytest.raises(
        lifecycle.LifecycleError, match="exporter 'zipkin' for spans is not installed"
    ):
        exporter_classes(Signal.TRACES, {"OTEL_TRACES_EXPORTER": "zipkin"})
