"""The key of a request, as the instrumentation of a server holds one."""

from __future__ import annotations


class Key:
    """A request."""

    def __init__(self, path: str = "/a") -> None:
        self.method, self.path, self.version = "GET", path, (1, 1)
        self.headers = [("HOST", "a"), ("USER-AGENT", "curl/8")]
