"""
pod-lifecycle for aiohttp servers.

`setup(app)` counts every request. While the app drains, and while every app service is offline,
each response has the header `Connection: close`. After the settle time (`settle`), idle
connections, WebSockets and event streams end.
"""

from __future__ import annotations

from lifecycle_aiohttp.plugin import setup

__all__ = ["setup"]
