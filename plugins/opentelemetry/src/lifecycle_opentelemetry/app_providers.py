"""
The providers that the app itself has set, if any.

Nothing here imports OpenTelemetry. An app that has set a provider has imported it already.
"""

from __future__ import annotations

import sys
from typing import Any, Final

_SOURCES: Final = {
    "spans": ("opentelemetry.trace", "get_tracer_provider"),
    "metrics": ("opentelemetry.metrics", "get_meter_provider"),
    "logs": ("opentelemetry._logs", "get_logger_provider"),
}


def app_provider(what: str) -> Any:
    """
    Return the global provider that the app has set. None if the app has not set any.

    Args:
        what: `spans`, `metrics` or `logs`.
    """
    module, name = _SOURCES[what]
    get = getattr(sys.modules.get(module), name, None)
    if get is None:
        return None
    provider = get()
    # Those of the API, which stand for a provider that is not set, have nothing to flush.
    return provider if callable(getattr(provider, "force_flush", None)) else None
