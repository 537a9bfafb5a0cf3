"""
OTLP over plain HTTP without `requests`, which takes 4 MiB of memory more than `urllib3` alone.

The exporter has an argument for this, which is not public. If a later version does not have it, or
if a setting needs `requests`, the exporter is used as it is.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping
from functools import partialmethod
from typing import Any, Final
from urllib.request import getproxies

ARGUMENT: Final = "_transport"
NEED_REQUESTS: Final = ("_CERTIFICATE", "_KEY", "_CREDENTIAL_PROVIDER")
"""The ends of the variables of OpenTelemetry that `requests` carries out."""


def lean(kind: Any, address: str, environ: Mapping[str, str]) -> Any:
    """
    Return a class of exporters that does not import `requests`, if this changes nothing else.

    Args:
        kind: A class of exporters for OTLP over HTTP.
        address: The address of the collector. Empty for that of the exporter, which is plain HTTP.
        environ: The variables of OpenTelemetry.
    """
    if address and not address.startswith("http://"):
        return kind
    if "@" in address or os.path.exists(os.path.expanduser(environ.get("NETRC", "~/.netrc"))):
        return kind  # with a user and a password
    if getproxies() or any(name.endswith(NEED_REQUESTS) for name in environ if name[:5] == "OTEL_"):
        return kind
    if ARGUMENT not in inspect.signature(kind).parameters:
        return kind
    try:
        from opentelemetry.exporter.http.transport._urllib3 import Urllib3HTTPTransport

        transport = Urllib3HTTPTransport()
    except Exception:  # noqa: BLE001 - another version of a private module
        return kind
    made = partialmethod(kind.__init__, **{ARGUMENT: transport})
    return type(kind.__name__, (kind,), {"__init__": made, "__module__": kind.__module__})
