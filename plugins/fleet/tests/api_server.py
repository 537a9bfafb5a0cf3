"""
A fake API server on a real socket, for the tests of this plugin.

    with ApiServer() as api:
        api.put("pods", {"metadata": {"namespace": "shop", "name": "orders-1"}})
        path = api.kubeconfig(tmp_path, namespace="shop")

It serves on a thread of its own, so that a test may be synchronous or not, and each method may be
called from any thread. `api_routes.Routes` says what can be set.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import yaml

from plugins.fleet.tests.api_objects import Object
from plugins.fleet.tests.api_routes import Request, Routes

LATEST = 20.0
"""Seconds that anything may take on a busy machine."""


class ApiServer(Routes):
    """
    An API server.

    Args:
        token: The bearer token that is accepted. Empty accepts everybody.
        tls: A folder with `ca.crt` and `key.pem` (`make_certificate`). None serves plain HTTP.
        client_ca: A file with certificates of clients, which are accepted in place of the token.

    Attributes:
        port: The port. It stays the same after `stop` and `start`.
    """

    def __init__(
        self, token: str = "letmein", tls: Path | None = None, client_ca: Path | None = None
    ) -> None:
        super().__init__()
        self.token = token
        self.tls = tls
        self.client_ca = client_ca
        self.port = 0
        self._open: set[asyncio.StreamWriter] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()

    @property
    def url(self) -> str:
        """The address."""
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def watches(self) -> int:
        """How many watches are open."""
        return len(self.watching)

    def lists(self, plural: str) -> int:
        """Return how many lists of a kind were requested. The pages of one list count once."""
        return sum(
            each.verb == "list" and each.plural == plural and "continue" not in each.query
            for each in self.asked
        )

    def kubeconfig(self, folder: Path, namespace: str = "default", **user: Any) -> Path:
        """Write a kubeconfig with one context, `fake`, and return its path."""
        cluster: Object = {"server": self.url}
        if self.tls:
            cluster["certificate-authority"] = str(self.tls / "ca.crt")
        context = {"cluster": "fake", "user": "fake", "namespace": namespace}
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "fake",
            "clusters": [{"name": "fake", "cluster": cluster}],
            "contexts": [{"name": "fake", "context": context}],
            "users": [{"name": "fake", "user": user or {"token": self.token}}],
        }
        path = folder / "kubeconfig"
        path.write_text(yaml.safe_dump(content))
        return path

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Serve, on the same port as before."""
        ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run(ready)))
        self._thread.start()
        assert ready.wait(LATEST), "the fake API server does not start"

    def stop(self) -> None:
        """Be away: each connection is reset, and new ones are refused."""
        self._on_loop(self._stop.set)
        self._thread.join(LATEST)
        assert not self._thread.is_alive(), "the fake API server does not end"

    def end_watches(self, *, reset: bool = False) -> None:
        """End each open watch, politely as at its timeout, or by a reset of its connection."""
        self._control("reset" if reset else "polite")

    def bookmark(self) -> None:
        """Send a bookmark of the current version on each watch."""
        self._control("bookmark")

    def expire(self) -> None:
        """Forget the history, and end each watch with 410. An older version is too old from now."""
        self.forget_history()
        self._control("expired")

    def wait(self, condition: Callable[[], object], what: str) -> None:
        """Wait until a condition holds, in a test without a loop."""
        deadline = time.monotonic() + LATEST
        while not condition():
            assert time.monotonic() < deadline, what
            time.sleep(0.01)

    async def until(self, condition: Callable[[], object], what: str) -> None:
        """Wait until a condition holds, in a test with a loop."""
        deadline = time.monotonic() + LATEST
        while not condition():
            assert time.monotonic() < deadline, what
            await asyncio.sleep(0.01)

    def _control(self, control: str) -> None:
        def tell() -> None:
            for each in self.watching:
                each.put_nowait(control)

        self._on_loop(tell)

    def _on_loop(self, function: Callable[[], object]) -> None:
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it has ended
                self._loop.call_soon_threadsafe(function)

    async def _run(self, ready: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()  # a new one for a new loop
        self.on_change = lambda: self._control("change")
        server = await asyncio.start_server(
            self._serve, "127.0.0.1", self.port, ssl=self._context(), reuse_address=True
        )
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        await self._stop.wait()
        server.close()
        for writer in self._open:
            writer.transport.abort()

    def _context(self) -> ssl.SSLContext | None:
        if self.tls is None:
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.tls / "ca.crt", self.tls / "key.pem")
        if self.client_ca is not None:
            context.verify_mode = ssl.CERT_OPTIONAL
            context.load_verify_locations(self.client_ca)
        return context

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        trusted = bool(self.client_ca and writer.get_extra_info("peercert"))
        try:
            while given := await _read(reader, writer):
                await self.answer(given, trusted=trusted)
        except (asyncio.IncompleteReadError, OSError, asyncio.CancelledError):
            pass  # the client has gone, or this server ends
        finally:
            self._open.discard(writer)
            writer.close()


async def _read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Request:
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {k.lower(): v.strip() for k, _, v in (each.partition(":") for each in lines)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    method, path, _ = first.split(" ")
    return Request(head, method, path, headers, body, reader, writer)


def make_certificate(folder: Path, names: str = "IP:127.0.0.1,DNS:cluster.example") -> Path:
    """Write a certificate that signs itself, `ca.crt`, and its key, `key.pem`, into a folder."""
    argv = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
    more = f"-subj /CN=kubernetes -addext subjectAltName={names} -keyout key.pem -out ca.crt"
    subprocess.run(f"{argv} {more}".split(), cwd=folder, check=True, capture_output=True)
    return folder
