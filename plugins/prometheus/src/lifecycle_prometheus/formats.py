"""
The two formats that Prometheus reads: its text format, and OpenMetrics.

`prometheus_client` can write both, and does so for the app's own metrics. For hundreds of series it
takes up to ten times as long as the code here, which knows only the types that pod-lifecycle uses.
Meanwhile the probes would wait for the interpreter lock.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client.core import Metric


class Format(Enum):
    """A format, with its media type for the response."""

    TEXT = "text/plain; version=0.0.4; charset=utf-8"
    OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


_END = {Format.TEXT: "", Format.OPENMETRICS: "# EOF\n"}
_MEDIA_TYPES = {
    "application/openmetrics-text": Format.OPENMETRICS,
    "text/plain": Format.TEXT,
    "text/*": Format.TEXT,
    "*/*": Format.TEXT,
}


def chosen(accept: str) -> Format:
    """
    Return the format that a client prefers: the text format, unless it asks for OpenMetrics.

    Args:
        accept: The value of the header `Accept`, or empty.
    """
    best, format_ = 0.0, Format.TEXT
    for part in accept.split(","):
        media_type, _, parameters = part.partition(";")
        found = _MEDIA_TYPES.get(media_type.strip().lower())
        if found is not None and (weight := _weight(parameters)) > best:
            best, format_ = weight, found
    return format_


def _weight(parameters: str) -> float:
    for each in parameters.split(";"):
        name, _, value = each.partition("=")
        if name.strip().lower() == "q":
            try:
                return min(1.0, max(0.0, float(value)))
            except ValueError:
                return 0.0
    return 1.0


def end_of(format_: Format) -> str:
    """Return the text that must come after the last metric."""
    return _END[format_]


def written(metrics: Iterable[Metric], format_: Format) -> str:
    """Return metrics as text, without the end. Only gauges, counters, histograms and infos."""
    return "".join(_lines(metrics, format_))


def _lines(metrics: Iterable[Metric], format_: Format) -> Iterator[str]:
    for metric in metrics:
        name, kind = metric.name, metric.type
        if format_ is Format.TEXT:  # which has neither the type info nor names without a suffix
            name += {"counter": "_total", "info": "_info"}.get(kind, "")
            kind = "gauge" if kind == "info" else kind
        yield f"# HELP {name} {_escaped(metric.documentation)}\n# TYPE {name} {kind}\n"
        for sample, labels, value, *_ in metric.samples:
            if labels:
                pairs = ",".join([f'{key}="{_escaped(text)}"' for key, text in labels.items()])
                yield f"{sample}{{{pairs}}} {float(value)!r}\n"
            else:
                yield f"{sample} {float(value)!r}\n"
        time.sleep(0)  # gives up the interpreter lock, for probes that wait for it


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
