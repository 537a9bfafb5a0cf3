"""Asks the plugins the way the kubelet does: a real lifecycle, a real GET on its QOS port."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote

import pytest

import lifecycle


def get(url, **headers):
    """GET a URL of the QOS port; returns the body whatever the status."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=5) as got:
            return got.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.read().decode()


PATIENT = {"HTTP_TIMEOUT": "10", "TCP_TIMEOUT": "10"}
"""The timeouts of tests that are not about time, so that a busy machine changes no reason."""


@pytest.fixture(name="get")
def _get():
    """Give `get`."""
    return get


@pytest.fixture
def until():
    """Poll another process: `until(ask, good)` returns the first answer that is good."""

    def poll(ask, good):
        deadline = time.monotonic() + 10
        while not good(answer := ask()):
            assert time.monotonic() < deadline, answer
            time.sleep(0.05)
        return answer

    return poll


@pytest.fixture
def lifecycle_env(monkeypatch, tmp_path):
    """An environment without settings but a QOS port that is free and a drain that is short."""
    for name in [name for name in os.environ if name.startswith("LIFECYCLE_")]:
        monkeypatch.delenv(name)
    for name, value in {
        "QOS_PORT": "0",
        "RUN_DIR": str(tmp_path),
        "SETTLE": "0",
        "QUIET": "0",
    }.items():
        monkeypatch.setenv(f"LIFECYCLE_{name}", value)
    return monkeypatch


@pytest.fixture
def ask(lifecycle_env):
    """
    Ask one plugin's readiness under a real lifecycle.

    Returns:
        A function of the plugin's name and variables (`TCP_TARGETS="…"`); it returns the
        answers by name, each with `ok` and `reason`.
    """

    async def answers(plugin, times):
        async with lifecycle.Lifecycle() as life:
            await life.ready()
            url = f"{life.qos_url}/ready/{quote(plugin)}"
            for _ in range(times):
                body = await asyncio.to_thread(get, url, Accept="application/json")
            return {answer["name"]: answer for answer in json.loads(body)["probes"]}

    def run(plugin, *, times=1, **variables):
        for name, value in (PATIENT | variables).items():
            lifecycle_env.setenv(f"LIFECYCLE_{name}", value)
        return asyncio.run(answers(plugin, times))

    return run


@pytest.fixture
def serve():
    """Serve HTTP: `serve({path: (status, headers)})` returns the server's HOST:PORT."""
    with contextlib.ExitStack() as stack:

        def start(answers):
            class Handler(BaseHTTPRequestHandler):
                def do_GET(self):
                    status, headers = answers[self.path]
                    self.send_response(status)
                    for name, value in headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", "0")
                    self.end_headers()

                def log_message(self, *_):
                    """Say nothing."""

            server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
            thread = threading.Thread(target=server.serve_forever, args=(0.01,))
            thread.start()
            stack.callback(thread.join, 5)
            stack.callback(server.server_close)
            stack.callback(server.shutdown)
            return f"127.0.0.1:{server.server_address[1]}"

        yield start


@pytest.fixture
def tree(tmp_path):
    """Lay out files below a folder that stands for `/`: `tree({path: text})` returns it."""

    def write(files):
        for path, text in files.items():
            target = tmp_path / path.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        return str(tmp_path)

    return write
