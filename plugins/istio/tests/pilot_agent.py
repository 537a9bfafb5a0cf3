"""
A stand-in for what of Istio's sidecar an app meets: pilot-agent's endpoints, Envoy's passthrough.

It keeps to istio/istio: `pilot/cmd/pilot-agent/status/server.go` (`handleReadyProbe`,
`handleQuit`, `handleAppProbeHTTPGet`): the status codes and bodies, who may call, what is
passed on to the app, from which address, and for how long.
"""

from __future__ import annotations

import contextlib
import http.client
import re
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self

UPSTREAM = "127.0.0.6"
"""What the agent, and Envoy's inbound passthrough, call the app from."""
LOOPBACK = ("127.0.0.1", "::1")
MOST_BODY = 10 * 1024
HOP = {"connection", "content-length", "transfer-encoding"}


class Prober(NamedTuple):
    """What ISTIO_KUBE_APP_PROBERS has of one rewritten probe; 0 seconds is no timeout."""

    port: int
    path: str
    timeout: float


class Asked(NamedTuple):
    """One request that the agent got."""

    method: str
    path: str


class PilotAgent:
    """
    The agent: its status port (15020) and Envoy's health port (15021), on free ports.

    Args:
        pod_ip: Where it finds the app.
        health_port: Another than a free one.
    """

    def __init__(self, pod_ip: str = "127.0.0.1", health_port: int = 0) -> None:
        self.pod_ip = pod_ip
        self.ready = threading.Event()
        self.probers: dict[str, Prober] = {}
        self.on_quit: Callable[[], Any] = lambda: None
        """Called before the answer to /quitquitquit."""
        self.seen_at_quit: list[Any] = []
        self.localhost = LOOPBACK
        """Who may say that it is to quit."""
        self._asked: list[Asked] = []
        self._news = threading.Condition()
        self._status = self._serve(self._of_status, 0)
        self._health = self._serve(self._of_health, health_port)

    def _serve(self, answer: Callable[[Handler], None], port: int) -> ThreadingHTTPServer:
        handler = type("OneOf", (Handler,), {"agent": self, "answer": staticmethod(answer)})
        server = ThreadingHTTPServer(("127.0.0.1", port), handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return server

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for server in (self._status, self._health):
            server.shutdown()
            server.server_close()

    @property
    def status_port(self) -> int:
        """15020, elsewhere."""
        return self._status.server_port

    @property
    def ready_url(self) -> str:
        """Where it says whether it is ready."""
        return f"http://127.0.0.1:{self._health.server_port}/healthz/ready"

    @property
    def quit_url(self) -> str:
        """Where it is told to end."""
        return f"http://127.0.0.1:{self.status_port}/quitquitquit"

    # What it was asked

    def note(self, asked: Asked) -> None:
        with self._news:
            self._asked.append(asked)
            self._news.notify_all()

    def asked(self, path: str) -> list[Asked]:
        """Return the requests for a path so far."""
        with self._news:
            return [each for each in self._asked if each.path == path]

    def await_asked(self, path: str, times: int, timeout: float = 20.0) -> None:
        """Wait until a path has been asked for so often."""
        with self._news:
            done = self._news.wait_for(
                lambda: [each.path for each in self._asked].count(path) >= times, timeout
            )
        assert done, f"{path} was not asked for {times} times within {timeout:g} s"

    # How it answers

    def _of_health(self, request: Handler) -> None:
        if request.path == "/healthz/ready":
            request.say(200 if self.ready.is_set() else 503)
        else:
            request.say(404)

    def _of_status(self, request: Handler) -> None:
        if request.path == "/healthz/ready":
            request.say(200 if self.ready.is_set() else 503)
        elif request.path == "/quitquitquit":
            self._quit(request)
        elif re.match("/app-(health|lifecycle)/", request.path):
            self._probe_app(request)
        else:
            request.say(404, b"404 page not found\n")

    def _quit(self, request: Handler) -> None:
        if request.client_address[0] not in self.localhost:
            request.say(403, b"Only requests from localhost are allowed\n")
        elif request.command != "POST":
            request.say(405, b"Method Not Allowed\n")
        else:
            self.seen_at_quit.append(self.on_quit())
            request.say(200, b"OK")

    def _probe_app(self, request: Handler) -> None:
        prober = self.probers.get(request.path)
        if prober is None:
            request.say(400, f"app prober config does not exists for {request.path}".encode())
            return
        host, _, port = request.headers["Host"].rpartition(":")
        own = port == str(self.status_port)
        headers = dict(request.headers.items())
        headers["Host"] = f"{host}:{prober.port}" if own else request.headers["Host"]
        headers["Connection"] = "close"
        app = http.client.HTTPConnection(
            self.pod_ip, prober.port, timeout=prober.timeout or None, source_address=(UPSTREAM, 0)
        )
        with contextlib.closing(app):
            try:
                app.request("GET", prober.path, headers=headers)
                response = app.getresponse()
                body = response.read(MOST_BODY)
            except (OSError, http.client.HTTPException):
                request.say(500)
                return
        redirect = 300 <= response.status < 400
        request.say(200 if redirect else response.status, b"" if redirect else body)


class Handler(BaseHTTPRequestHandler):
    """One request to the agent."""

    agent: PilotAgent
    answer: Callable[[Handler], None]

    def do_GET(self) -> None:
        self.agent.note(Asked(self.command, self.path))
        with contextlib.suppress(ConnectionError):  # who asked has gone
            self.answer(self)

    do_POST = do_PUT = do_GET  # noqa: N815 - BaseHTTPRequestHandler's names

    def say(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


@contextlib.contextmanager
def _listening(converse: Callable[[socket.socket], None]) -> Iterator[int]:
    """Hold a conversation with everybody who connects to the port that this gives."""

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=converse, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def something_else(answer: bytes | None, *, slowly: bool = False) -> Iterator[str]:
    """
    Serve what is no sidecar on a port, and give its URL.

    Args:
        answer: What it says to everybody before it hangs up; None: nothing, and it stays.
        slowly: Say a byte every 50 ms, over and over, for as long as anybody listens.
    """
    over = threading.Event()

    def converse(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            if answer is None:
                over.wait(60)
            while slowly and not over.wait(0.05):
                connection.sendall(answer or b"")
            connection.recv(65536)
            connection.sendall(answer or b"")

    with _listening(converse) as port:
        try:
            yield f"http://127.0.0.1:{port}/"
        finally:
            over.set()


@contextlib.contextmanager
def passthrough(to: tuple[str, int], *, source: str, headers: bytes = b"") -> Iterator[int]:
    """
    Pass on what comes to a port, as Envoy's inbound listener does, and give that port.

    Args:
        to: The app.
        source: The address that the app sees.
        headers: What is added to a request; nothing where it is plain TCP to the mesh.
    """

    def converse(client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head and (chunk := client.recv(65536)):
                head += chunk
            request, _, body = head.partition(b"\r\n\r\n")
            with socket.create_connection(to, 10, source_address=(source, 0)) as app:
                app.sendall(request + b"\r\n" + headers + b"\r\n" + body)
                while chunk := app.recv(65536):
                    client.sendall(chunk)

    with _listening(converse) as port:
        yield port
