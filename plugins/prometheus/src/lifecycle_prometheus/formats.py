"""
The two formats that Prometheus reads: its text format, and OpenMetrics.

`prometheus_client` can write both, and does so for the app's own metrics. With 200 services and 50
probes, it takes 6 ms for the text format and 11 ms for OpenMetrics. The code here takes 1.3 ms,
because it writes only the types that pod-lifecycle uses. Probes wait meanwhile for the interpreter
lock.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from enum import Enum

from lifecycle_prometheus.families import Buckets, Family


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


def written(families: Iterable[Family], format_: Format) -> str:
    """Return metrics as text, without the end."""
    return "".join(_lines(families, format_))


def _lines(families: Iterable[Family], format_: Format) -> Iterator[str]:
    for family in families:
        name, kind, sample = family.name, family.kind, family.sample
        if format_ is Format.TEXT:  # which has neither the type info nor names without a suffix
            name, kind = sample, "gauge" if kind == "info" else kind
        yield f"# HELP {name} {family.text}\n# TYPE {name} {kind}\n"
        for values, value in family.rows:
            pairs = ",".join(map(_pair, family.labels, values))
            if isinstance(value, Buckets):
                yield from _histogram(name, pairs, value)
            elif pairs:
                yield f"{sample}{{{pairs}}} {float(value)!r}\n"
            else:
                yield f"{sample} {float(value)!r}\n"
        time.sleep(0)  # gives up the interpreter lock, for probes that wait for it


def _histogram(name: str, pairs: str, value: Buckets) -> Iterator[str]:
    start = f'{name}_bucket{{{pairs},le="' if pairs else f'{name}_bucket{{le="'
    for bound, count in zip(value.bounds, value.counts, strict=True):
        yield f'{start}{bound}"}} {count}\n'
    labels = f"{{{pairs}}}" if pairs else ""
    yield f"{name}_count{labels} {value.counts[-1]}\n"
    yield f"{name}_sum{labels} {float(value.seconds)!r}\n"


def _pair(name: str, value: str) -> str:
    value = value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
    return f'{name}="{value}"'
