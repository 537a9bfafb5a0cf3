"""
The providers that the app itself has set, if any, and whether the app has shut them down.

Nothing here imports OpenTelemetry. An app that has set a provider has imported it already.
"""

from __future__ import annotations

import sys
import threading
from contextlib import suppress
from operator import attrgetter
from typing import Any, Final
from weakref import WeakKeyDictionary, ref

_SOURCES: Final = {
    "spans": ("opentelemetry.trace", "get_tracer_provider"),
    "metrics": ("opentelemetry.metrics", "get_meter_provider"),
    "logs": ("opentelemetry._logs", "get_logger_provider"),
}
_VARIABLES: Final = {
    "spans": ("opentelemetry.trace", "_TRACER_PROVIDER"),
    "metrics": ("opentelemetry.metrics._internal", "_METER_PROVIDER"),
    "logs": ("opentelemetry._logs._internal", "_LOGGER_PROVIDER"),
}
"""Where the API keeps the global provider. None there means that there is none yet."""
_ADD: Final = {
    "spans": ("opentelemetry.sdk.trace", "add_span_processor"),
    "logs": ("opentelemetry.sdk._logs", "add_log_record_processor"),
}
_PARTS: Final = (
    "_active_span_processor._span_processors",
    "_multi_log_record_processor._log_record_processors",
    "_metric_readers",
)
"""Where the providers of the SDK keep their processors and readers. Nothing public has them."""

_marks: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()
_marking = threading.Lock()


def app_provider(what: str) -> Any:
    """
    Return the global provider that the app has set. None if the app has not set any.

    Args:
        what: `spans`, `metrics` or `logs`.
    """
    # The function of the API makes a provider if a variable such as OTEL_PYTHON_TRACER_PROVIDER
    # is set and there is none yet. That is for the app to do.
    module, name = _VARIABLES[what]
    if getattr(sys.modules.get(module), name, True) is None:
        return None
    module, name = _SOURCES[what]
    get = getattr(sys.modules.get(module), name, None)
    if get is None:
        return None
    provider = get()
    # Those of the API, which stand for a provider that is not set, have nothing to flush.
    return provider if callable(getattr(provider, "force_flush", None)) else None


def parts_of(provider: Any) -> list[Any]:
    """Return the processors or readers that a provider calls. Empty if they are not known."""
    for path in _PARTS:
        with suppress(AttributeError, TypeError):
            return [each for each in attrgetter(path)(provider) if not _is_mark(each)]
    return []


def watch() -> None:
    """
    Notice from now on if the app shuts down its providers of spans and logs.

    Nothing public tells whether a provider was shut down. So each one gets a processor that does
    nothing until then. A provider that calls its processors through a pool of threads gets none,
    because that would make each span slower.
    """
    for what, (sdk, add) in _ADD.items():
        with suppress(Exception), _marking:  # a provider of anybody
            provider = app_provider(what)
            if provider is None or provider in _marks or sdk not in sys.modules:
                continue
            if not _has_a_pool(provider):
                ref(provider)  # one without weak references is not watched
                mark = _mark(what)
                getattr(provider, add)(mark)
                _marks[provider] = mark


def _mark(what: str) -> Any:
    if what == "logs":
        from lifecycle_opentelemetry.log_mark import LogMark

        return LogMark()
    from lifecycle_opentelemetry.span_mark import SpanMark

    return SpanMark()


def _has_a_pool(provider: Any) -> bool:
    names = ("_active_span_processor", "_multi_log_record_processor")
    parts = [getattr(provider, name, None) for name in names]
    return any(type(each).__name__.startswith("Concurrent") for each in parts)


def _is_mark(processor: Any) -> bool:
    return any(processor is mark for mark in [*_marks.values()])


def is_shut_down(provider: Any) -> bool:
    """Return True if the app is known to have shut down a provider of spans or logs."""
    with suppress(TypeError):  # one without weak references is not watched
        mark = _marks.get(provider)
        if mark is not None and mark.is_shut_down:
            return True
    # As after a shutdown before `watch`. The processors of the SDK keep it, though not publicly.
    parts = [getattr(each, "_batch_processor", each) for each in parts_of(provider)]
    return bool(parts) and all(getattr(each, "_shutdown", False) is True for each in parts)
