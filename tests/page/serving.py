"""Serves the page as the QOS port does, over answers that are made up."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from lifecycle.page.document import page
from tests.page.browser import LIMIT
from tests.page.scenes import Scene


class Stage:
    """A server whose answers a test chooses."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.asked: list[str] = []
        """The paths that were asked for, in their order."""
        self.url = ""
        self.refuse = ""
        """What `/status` answers instead, with 403."""
        self.speaks = threading.Event()
        """While it is not set, nothing is answered."""
        self.speaks.set()
        self.at_once = 0
        self.most_at_once = 0
        self.lock = threading.Lock()

    def answer(self, path: str) -> tuple[int, str, list[tuple[str, str]]]:
        """Return the status, the body and the headers for a path."""
        target = urlsplit(path)
        if target.path == "/":
            reply = page()
            return 200, reply.body, [("Content-Type", reply.content_type), *reply.headers]
        if self.refuse:
            return 403, self.refuse, []
        found: Any = {"/status": self.scene.status, "/inflight": self.scene.work}.get(target.path)
        if found is None:
            return 404, "There is no such path.\n", []
        if limit := dict(parse_qsl(target.query)).get("limit"):
            some = found["entries"][: int(limit)]
            found = found | {"entries": some, "shown": len(some)}
        return 200, json.dumps(found), [("Content-Type", "application/json")]


@contextmanager
def staged(scene: Scene, port: int = 0) -> Iterator[Stage]:
    """Serve a scene until the block ends; then the port is closed, and its connections too."""
    stage = Stage(scene)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with stage.lock:
                stage.asked.append(self.path)
                stage.at_once += 1
                stage.most_at_once = max(stage.most_at_once, stage.at_once)
            stage.speaks.wait(LIMIT)
            status, body, headers = stage.answer(self.path)
            data = body.encode()
            self.send_response(status)
            for name, value in (*headers, ("Content-Length", str(len(data)))):
                self.send_header(name, value)
            self.end_headers()
            with stage.lock:
                stage.at_once -= 1
            with suppress(ConnectionError):  # a page that is left does not read its answers
                self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Write nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    stage.url = f"http://127.0.0.1:{server.server_address[1]}/"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield stage
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
