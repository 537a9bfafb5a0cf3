"""
pod-lifecycle for grpc.aio servers.

`Interceptor` counts every running call. `attach` adds the health service, and ends connections
with GOAWAY after the settle time (`settle`). With `options`, clients renew each connection
so often that none is left by then.
"""

from __future__ import annotations

from lifecycle_grpc.drain import attach, options
from lifecycle_grpc.health import Health
from lifecycle_grpc.interceptor import Interceptor

__all__ = ["Health", "Interceptor", "attach", "options"]
