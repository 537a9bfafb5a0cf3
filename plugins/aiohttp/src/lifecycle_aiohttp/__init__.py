"""
aiohttp servers under a lifecycle.

`setup(app)` counts every request in flight, says `Connection: close` while draining, and
ends idle connections, WebSockets and event streams when the settle time is over.
"""

from __future__ import annotations

from lifecycle_aiohttp.plugin import setup

__all__ = ["setup"]
