"""
The variables of OpenTelemetry that decide whether, and with which exporters, this plugin exports.

Nothing here needs OpenTelemetry, so that an app without such variables does not import it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

import lifecycle

NOT_SENT: Final = "errors.md#telemetry-not-sent"
DISABLED: Final = "OTEL_SDK_DISABLED"
ENDPOINT: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"
PROTOCOL: Final = "OTEL_EXPORTER_OTLP_PROTOCOL"
GRPC: Final = "otlp_proto_grpc"
HTTP: Final = "otlp_proto_http"
HTTP_PORT: Final = 4318
"""The port of OTLP over HTTP. The default protocol of the SDK, gRPC, never works there."""

_BY_PROTOCOL: Final = {"grpc": GRPC, "http/protobuf": HTTP, "http/json": "otlp_json_http"}


class Signal(StrEnum):
    """A kind of telemetry: spans or metrics."""

    TRACES = "traces"
    METRICS = "metrics"

    @property
    def what(self) -> str:
        """The word for messages."""
        return "spans" if self is Signal.TRACES else "metrics"


def exporters(signal: Signal, environ: Mapping[str, str]) -> list[str]:
    """
    Return the names of the exporters, as their entry points are called. Empty if there is none.

    `OTEL_TRACES_EXPORTER` and `OTEL_METRICS_EXPORTER` name them. Without these variables, it is
    OTLP, if there is an address for it. The protocol is chosen as the SDK does. If no variable
    chooses it and the port is 4318, it is HTTP.

    Raises:
        LifecycleError: The protocol is unknown.
    """
    if environ.get(DISABLED, "").strip().lower() == "true":
        return []
    named = environ.get(f"OTEL_{signal.upper()}_EXPORTER", "").strip()
    if named.lower() == "none":
        return []
    address = address_of(signal, environ)
    names = [each.strip() for each in named.split(",") if each.strip()]
    if not names and address:
        names = ["otlp"]
    return [_exact(name, signal, environ, address) for name in names]


def address_of(signal: Signal, environ: Mapping[str, str]) -> str:
    """Return the address of the collector, or an empty text."""
    return _first(environ, f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT", ENDPOINT)


def _exact(name: str, signal: Signal, environ: Mapping[str, str], address: str) -> str:
    if name != "otlp":
        return name
    variable = f"OTEL_EXPORTER_OTLP_{signal.upper()}_PROTOCOL"
    protocol = _first(environ, variable, PROTOCOL)
    if not protocol:
        return HTTP if _port(address) == HTTP_PORT else GRPC
    if protocol not in _BY_PROTOCOL:
        raise lifecycle.LifecycleError(
            f"{PROTOCOL}={protocol!r} is not supported. Set it to grpc, http/protobuf or http/json.",
            see=NOT_SENT,
        )
    return _BY_PROTOCOL[protocol]


def protocol_is_open(signal: Signal, environ: Mapping[str, str]) -> bool:
    """Return True if no variable chooses the protocol of OTLP."""
    return not _first(environ, f"OTEL_EXPORTER_OTLP_{signal.upper()}_PROTOCOL", PROTOCOL)


def _first(environ: Mapping[str, str], *names: str) -> str:
    return next((found for name in names if (found := environ.get(name, "").strip())), "")


def _port(address: str) -> int | None:
    try:
        return urlsplit(address if "//" in address else f"//{address}").port
    except ValueError:
        return None
