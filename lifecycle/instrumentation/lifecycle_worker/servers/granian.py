"""
granian: Rust reads and writes, and Python serves: in threads (WSGI) or on a loop (ASGI).

With ASGI, a request or a WebSocket is in flight until the app has returned, and the loop has a
heartbeat. RSGI is in `granian_rsgi`. With WSGI, there is no Python loop. A request is in flight
from the call of the app until its body is complete: a list at once, an iterator once it is
exhausted, closed or dropped. The worker makes no progress while all its `--blocking-threads` are busy and
no request ends.

After the drain start, the app's responses have `Connection: close`, which granian follows. Idle
connections are in Rust, and cannot be reached: granian closes them when it stops. After the
settle time, WebSockets of ASGI are closed with 1001. HTTP/2 clients get no notice either. The
drain waits for their requests, but these do not prolong it.
"""

from __future__ import annotations

import threading

from .. import wsgi
from ..asgi import App
from ..connections import serves_on
from ..early_signals import forks_workers
from ..headers import CLOSE, with_close
from ..long_lived import end_long_lived
from ..seams import needs, seam, wrap
from ..worker import worker
from . import granian_rsgi

TYPE_CHECKING = False  # importing typing costs as much as all the rest
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

NAME = "granian"
WSGI = "wsgi"
COUNTED = (WSGI, "asgi", "asginl", "rsgi")
"""The interfaces, by granian's names."""


def patch_mp(module: Any) -> None:
    """Count the requests of its worker processes, and report when they serve."""
    for name in ("WSGIWorker", "_wsgi_call_wrap", "_asgi_call_wrap", "_rsgi_call_wrap"):
        seam(module, name)
    seam(module, "_new_cbscheduler")
    needs(seam(module, "MPServer._spawn_wsgi_worker"), "blocking_threads", "wcallback")
    needs(seam(module, "MPServer.signal_handler_interrupt"), "interrupt_signal")
    wrap(module, "MPServer.serve", _expected)
    wrap(module, "MPServer.signal_handler_interrupt", _once)
    wrap(module, "_wsgi_call_wrap", _wsgi)
    wrap(module, "_asgi_call_wrap", _on("asgi", App))
    wrap(module, "_rsgi_call_wrap", _on("rsgi", granian_rsgi.counted))
    wrap(module, "_new_cbscheduler", _on_loop)
    module.WSGIWorker = _serving(module.WSGIWorker)


def _expected(serve: Callable[..., None]) -> Callable[..., None]:
    def expecting(self: Any, *args: Any, **kwargs: Any) -> None:
        if self.interface in COUNTED:
            worker.expects(NAME)
        forks_workers()
        serve(self, *args, **kwargs)

    return expecting


def _once(handle: Callable[..., None]) -> Callable[..., None]:
    """
    Have the master handle only one signal. A second one during its handler would block it forever.

    When the parent is killed, several signals arrive: the kernel sends SIGTERM at the end of each
    of its threads.
    """

    def handle_once(self: Any, *args: Any, **kwargs: Any) -> None:
        if not self.interrupt_signal:
            handle(self, *args, **kwargs)

    return handle_once


def _serving(make_worker: Callable[..., Any]) -> Callable[..., Any]:
    """Report that it serves, because the next call in this process accepts connections."""

    def serving(*args: Any) -> Any:
        made = make_worker(*args)
        if threading.current_thread() is threading.main_thread():
            worker.serves(f"{NAME} {WSGI}", capacity=args[_THREADS])
            worker.watch_parent()
        return made

    return serving


_THREADS = 5
"""The attribute of `WSGIWorker` with the number of its Python threads."""


_interfaces: list[str] = []
"""The interfaces that this process serves on a loop, once they are known."""


def _on(interface: str, around: Callable[[Any], Any]) -> Callable[..., Any]:
    """Wrap the app of an interface with a loop."""

    def make_wrapper(make: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(callback: Any, *args: Any, **kwargs: Any) -> Any:
            _interfaces.append(interface)
            return make(around(callback), *args, **kwargs)

        return wrapper

    return make_wrapper


def _on_loop(make: Callable[..., Any]) -> Callable[..., Any]:
    """Report that it serves on a loop, because the next call accepts connections."""

    def scheduler(loop: Any, *args: Any, **kwargs: Any) -> Any:
        if _interfaces and threading.current_thread() is threading.main_thread():
            serves_on(loop, f"{NAME} {_interfaces[-1]}", end_long_lived)
        return make(loop, *args, **kwargs)

    return scheduler


def _wsgi(make: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(callback: Any, *args: Any, **kwargs: Any) -> Any:
        return make(_counted(callback), *args, **kwargs)

    return wrapper


def _is_http2(environ: dict[str, Any]) -> bool:
    return bool(environ.get("SERVER_PROTOCOL", "").startswith("HTTP/2"))


def _counted(app: Callable[..., Any]) -> Callable[..., Any]:
    """Return a WSGI app that is counted, and sends `Connection: close` in a drain."""
    answer = wsgi.App(app)

    def counted(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        def start(status: str, headers: Any, exc_info: Any = None) -> Any:
            if worker.draining and not _is_http2(environ):
                headers = with_close(headers, CLOSE)
                worker.told_to_go()
            return start_response(status, headers, exc_info)

        asked = (environ.get("HTTP_USER_AGENT", ""), environ.get("PATH_INFO", ""))
        events = wsgi.asks(environ)

        def end() -> None:
            if worker.draining:
                gone = events or _is_http2(environ)
                worker.end_from(start, *asked, sent_away=gone)  # the client's port is not known
            else:
                worker.end(start)

        worker.begin(start)  # a function that is made for each request, and knows its environment
        try:
            body = answer(environ, start)
        except BaseException:
            end()
            raise
        if isinstance(body, list):
            end()
            return body
        return Body(body, end)

    return counted


class Body:
    """
    The body of a response, which reports when it is not read any more.

    Args:
        body: The app's body.
        end: Called then, once.
    """

    def __init__(self, body: Any, end: Callable[[], None]) -> None:
        self._body = body
        self._ends = [end]
        self._iterator = iter(body)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        """Return the next piece."""
        try:
            return next(self._iterator)
        except BaseException:
            self._end()
            raise

    def close(self) -> None:
        """Close the app's body, because its client has everything, or is gone."""
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                close()
        finally:
            self._end()

    def __del__(self) -> None:
        self._end()

    def _end(self) -> None:
        while self._ends:
            self._ends.pop()()
