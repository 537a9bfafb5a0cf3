"""The exporters of this plugin, for an app that has not set providers of its own."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Any, Final

import lifecycle
from lifecycle_opentelemetry.lean_http import lean
from lifecycle_opentelemetry.settings import (
    GRPC,
    HTTP,
    NOT_SENT,
    Signal,
    address_of,
    exporters,
    protocol_is_open,
)

PACKAGES: Final = {
    GRPC: "opentelemetry-exporter-otlp-proto-grpc",
    HTTP: "opentelemetry-exporter-otlp-proto-http",
    "otlp_json_http": "opentelemetry-exporter-otlp-json-http",
    "prometheus": "opentelemetry-exporter-prometheus",
}
"""The distributions of well-known exporters."""


def exporter_classes(signal: Signal, environ: Mapping[str, str]) -> list[Any]:
    """
    Return the classes of the exporters that the variables of OpenTelemetry choose.

    Raises:
        LifecycleError: A variable is wrong, or an exporter is not installed.
    """
    return [_class_of(name, signal, environ) for name in exporters(signal, environ)]


def _class_of(name: str, signal: Signal, environ: Mapping[str, str]) -> Any:
    names = [name]
    if name in (GRPC, HTTP) and protocol_is_open(signal, environ):
        names += {GRPC, HTTP} - {name}  # whichever is installed
    for each in names:
        for point in entry_points(group=f"opentelemetry_{signal}_exporter", name=each):
            kind = point.load()
            return lean(kind, address_of(signal, environ), environ) if each == HTTP else kind
    package = PACKAGES.get(name)
    hint = f"Run `pip install {package}`." if package else "Install the package that has it."
    raise lifecycle.LifecycleError(
        f"The exporter {name!r} for {signal.what} is not installed. {hint}", see=NOT_SENT
    )
