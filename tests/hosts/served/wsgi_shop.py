"""The same service as plain WSGI: what the servers with threads serve."""

from __future__ import annotations

import time

from shop import FAST, PIECES, SLOW


def app(environ, start_response):
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    path = environ["PATH_INFO"]
    if path in ("/", "/slow"):
        time.sleep(SLOW if path == "/slow" else FAST)
    headers = [("Content-Type", "text/plain")]
    if path in ("/stream", "/download"):
        start_response("200 OK", headers)
        return pieces(path)
    body = body or b"hello"
    start_response("200 OK", [*headers, ("Content-Length", str(len(body)))])
    return [body]


def pieces(path):
    for _ in range(PIECES[path]):
        yield b"x" * 100
        time.sleep(0.1)
