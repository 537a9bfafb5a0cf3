"""`lifecycle fleet serve` as a real process, and its readers."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self

from plugins.fleet.tests.api_server import ApiServer
from tests.process.kit import QUICK, App, free_port

LATEST: Final = 20.0
"""Seconds that anything may take on a busy machine."""


class Answer:
    """One answer."""

    def __init__(self, got: http.client.HTTPResponse) -> None:
        self.status = got.status
        self.headers = {name.lower(): value for name, value in got.getheaders()}
        self.body = got.read()

    @property
    def text(self) -> str:
        """The body."""
        return self.body.decode()

    def json(self) -> Any:
        """Return the body as JSON."""
        return json.loads(self.body)


class Reader:
    """A reader of the live stream. A context manager."""

    def __init__(self, port: int, **headers: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LATEST)
        self._connection.request(
            "GET", "/events", headers={"Accept": "text/event-stream"} | headers
        )
        self.answer = self._connection.getresponse()
        self.pods: dict[str, Any] = {}
        self.link: dict[str, str] = {}
        self.ends: list[Any] = []
        self.last_id = ""
        self.seen: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()
        self.answer.close()

    def next(self) -> tuple[str, Any]:
        """Return the next event, and take it as the page does. An empty one is the end."""
        fields: dict[str, str] = {}
        while (line := self.answer.readline()) not in (b"\n", b""):
            name, _, value = line.decode().rstrip("\n").partition(": ")
            fields[name] = value
        name, data = fields.get("event", ""), json.loads(fields.get("data", "{}"))
        self.last_id = fields.get("id", self.last_id)
        self.seen.append(name)
        if name == "begin":
            self.pods, self.link, self.ends = {}, data["link"], data["ends"]
        if name == "change":
            for namespace, pod in data.get("gone", ()):
                self.pods.pop(f"{namespace}/{pod}", None)
            self.pods |= {f"{each['namespace']}/{each['name']}": each for each in data["pods"]}
            self.link = data.get("link", self.link)
            self.ends = data.get("ends", self.ends)
        return name, data

    def until(self, condition: Callable[[], Any]) -> Any:
        """Take events until a condition holds. The time limit is that of the connection."""
        deadline = time.monotonic() + LATEST
        while not (found := condition()):
            assert time.monotonic() < deadline, f"not in time: {self.pods}, {self.link}"
            assert self.next()[0], f"the stream has ended: {self.pods}"
        return found

    def whole(self) -> Reader:
        """Take events until the first snapshot is here."""
        self.until(lambda: self.seen[-1:] == ["whole"])
        return self


class Served:
    """The server."""

    def __init__(self, app: App, port: int) -> None:
        self.app = app
        self.port = port
        self.url = f"http://127.0.0.1:{port}/"

    def ask(self, path: str = "/", method: str = "GET", **headers: str) -> Answer:
        """Ask for a path."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LATEST)
        try:
            connection.request(method, path, headers=headers)
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def reader(self, **headers: str) -> Reader:
        """Open a stream."""
        return Reader(self.port, **headers)


@contextmanager
def served(
    api: ApiServer, folder: Path, *words: str, ready: bool = True, port: int = 0, **env: str
) -> Iterator[Served]:
    """
    Run the server until the block ends.

    Args:
        api: The API server.
        folder: A folder for its kubeconfig and its output.
        words: More words of the command line.
        ready: Wait until it is READY.
        port: Its port, or 0 for a free one.
        env: Variables.
    """
    port = port or free_port()
    argv = ["-m", "lifecycle", "fleet", "serve", "--bind", f"127.0.0.1:{port}", *words]
    kubeconfig = str(api.kubeconfig(folder, namespace="shop"))
    given = QUICK | {"KUBECONFIG": kubeconfig, "PORT": str(port)} | env
    with App.start(argv, cwd=folder, env=given) as app:
        if ready:
            app.wait_state("ready")
        yield Served(app, port)
        assert "Traceback" not in app.stderr, app.stderr
