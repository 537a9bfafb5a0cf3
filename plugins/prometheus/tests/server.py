"""A real Prometheus, and targets with metrics that are made up."""

from __future__ import annotations

import json
import re
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from plugins.prometheus.tests.scraping import LIMIT
from tests.process.kit import free_port, wait_for

READY = "Server is ready to receive web requests"


class Prometheus:
    """A server that scrapes five times a second."""

    def __init__(self, url: str) -> None:
        self.url = url

    def ask(self, path: str, **arguments: object) -> Any:
        """Ask its API; returns the data."""
        where = f"{self.url}/api/v1/{path}?{urlencode(arguments)}"
        try:
            with urllib.request.urlopen(where, timeout=LIMIT) as got:
                answer = json.load(got)
        except urllib.error.HTTPError as error:
            with error:
                raise AssertionError(error.read().decode()) from None
        assert answer["status"] == "success", answer
        return answer["data"]

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """Evaluate an expression now; returns the labels and the value of each result."""
        found = self.ask("query", query=expression)
        assert found["resultType"] == "vector", found
        return [(each["metric"], float(each["value"][1])) for each in found["result"]]

    def until(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """Wait until an expression has results, and return them."""
        return wait_for(lambda: self.query(expression), LIMIT, expression)


@contextmanager
def prometheus(
    folder: Path, targets: Mapping[str, str], rules: object = None
) -> Iterator[Prometheus]:
    """
    Start a Prometheus.

    Args:
        folder: Where its files are.
        targets: The URL of each target, by its name, which is its label `pod`.
        rules: The content of a file of rules.
    """
    static = [
        {
            "targets": [url.removeprefix("http://").partition("/")[0]],
            "labels": {"pod": name, "namespace": "shop"},
        }
        for name, url in targets.items()
    ]
    config: dict[str, Any] = {
        "global": {
            "scrape_interval": "200ms",
            "scrape_timeout": "200ms",
            "evaluation_interval": "200ms",
        },
        "scrape_configs": [{"job_name": "pods", "static_configs": static}],
    }
    if rules is not None:
        (folder / "rules.json").write_text(json.dumps(rules))
        config["rule_files"] = ["rules.json"]
    path = folder / "prometheus.json"  # JSON is YAML too
    path.write_text(json.dumps(config))
    port = free_port()
    words = [
        "prometheus",
        f"--config.file={path}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    ready, said = threading.Event(), []

    def read(lines: Iterator[str]) -> None:
        for line in lines:
            said.append(line)
            if READY in line:
                ready.set()
        ready.set()

    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, cwd=folder) as process:
        assert process.stderr is not None
        reader = threading.Thread(target=read, args=(process.stderr,), name="prometheus")
        reader.start()
        try:
            assert ready.wait(LIMIT), said
            assert any(READY in line for line in said), said
            yield Prometheus(f"http://127.0.0.1:{port}")
        finally:
            process.kill()
            reader.join(LIMIT)


def promtool(*words: str, text: str = "") -> str:
    """Run promtool; returns its complaints."""
    done = subprocess.run(
        ["promtool", *words],
        input=text,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    return "" if not done.returncode and not done.stderr else done.stdout + done.stderr


@contextmanager
def target(make: Callable[[], str]) -> Iterator[str]:
    """Serve a text, which is made anew for each scrape; yields the URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = make().encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), name="target")
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/metrics"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(LIMIT)


def url_in(text: str) -> str:
    """Return the first URL of this machine in a text."""
    found = re.search(r"http://127\.0\.0\.1:[0-9]+", text)
    assert found, text
    return found[0]
