"""
Apps that do the same work at each request, and say which worker they are in.

`/off` takes out of a worker what the instrumentation has put around each request, and `/on` puts
it back: two processes of the very same program differ by more than it costs.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

TURNS = int(os.environ["TURNS"])
"""How much work it is: no time by the clock, which passes also while others have the core."""


def work() -> None:
    """Do it."""
    for _ in range(TURNS):
        pass


def who() -> str:
    """Tell which worker this is."""
    return str(os.getpid())


def switch(path: str) -> None:
    """Switch what the path says."""
    if path in ("/on", "/off"):
        for owner, name, with_us, without in _places():
            setattr(owner, name, with_us if path == "/on" else without)


@cache
def _places() -> list[tuple[Any, str, Callable[..., Any], Callable[..., Any]]]:
    from lifecycle_worker import asgi as our_asgi  # type: ignore[import-not-found]
    from lifecycle_worker import wsgi as our_wsgi  # type: ignore[import-not-found]

    apps = [our_asgi.App, *our_asgi.App.__subclasses__(), our_wsgi.App]
    found = [(app, "__call__", app.__call__, lambda self, *more: self.app(*more)) for app in apps]
    gthread = sys.modules.get("gunicorn.workers.gthread")
    if gthread is not None:
        from gunicorn.http.wsgi import Response

        cls = gthread.ThreadWorker
        for owner, name in ((cls, "handle_request"), (Response, "default_headers")):
            wrapped = getattr(owner, name)
            found.append((owner, name, wrapped, wrapped.__wrapped__))
        workers = [each for each in gc.get_objects() if type(each) is cls]
        for poller in filter(None, (each.poller for each in workers)):  # a sibling's has none here
            bare = type(poller).select.__get__(poller)
            found.append((poller, "select", poller.select, bare))
    return found


def wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """Answer by WSGI."""
    switch(environ["PATH_INFO"])
    work()
    start_response("200 OK", [("X-Worker", who()), ("Content-Length", "4")])
    return [b"true"]


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    """Answer by ASGI."""
    if scope["type"] != "http":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    switch(scope["path"])
    work()
    headers = [(b"x-worker", who().encode()), (b"content-length", b"4")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"true"})
