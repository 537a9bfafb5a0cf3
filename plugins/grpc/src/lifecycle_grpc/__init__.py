"""
grpc.aio servers under a lifecycle.

`Interceptor` counts every call in flight; `attach` adds the health service, and ends
kept connections with GOAWAY once consumers have had time to notice; `options` has each
connection renewed so often that none is left by then.
"""

from __future__ import annotations

from lifecycle_grpc.drain import attach, options
from lifecycle_grpc.health import Health
from lifecycle_grpc.interceptor import Interceptor

__all__ = ["Health", "Interceptor", "attach", "options"]
