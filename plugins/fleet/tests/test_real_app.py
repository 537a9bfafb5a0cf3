"""The commands against a real app: the fake API server runs the real `lifecycle` next to it."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from lifecycle.testing import free_port
from plugins.fleet.tests.api_exec import Call
from plugins.fleet.tests.api_server import LATEST, ApiServer
from plugins.fleet.tests.objects import pod, told
from plugins.fleet.tests.running import fleet
from tests.process.kit import wait_for

pytestmark = [pytest.mark.usefixtures("kubeconfig"), pytest.mark.timeout(120)]

APP = """
import asyncio

released = asyncio.Event()

async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    if scope["path"] == "/slow":
        await released.wait()
    if scope["path"] == "/release":
        released.set()
    await send({"type": "http.response.start", "status": 200,
                "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})
"""
SETTINGS = {
    "LIFECYCLE_SETTLE": "0.3",
    "LIFECYCLE_QUIET": "0.2",
    "LIFECYCLE_PLUGINS": "no:kubernetes",
}


class Running:
    """A real app with one app service, in the only pod of the fake API server."""

    def __init__(self, folder: Path) -> None:
        (folder / "shop.py").write_text(APP)
        self.port, self.qos = free_port(), free_port()
        self.env = {
            **{n: v for n, v in os.environ.items() if not n.startswith("LIFECYCLE_")},
            **SETTINGS,
            "LIFECYCLE_QOS_PORT": str(self.qos),
            "LIFECYCLE_RUN_DIR": str(folder),
        }
        words = [sys.executable, "-m", "lifecycle", "run", "--asgi", "shop:app"]
        words += ["--bind", f"127.0.0.1:{self.port}", "--service", "orders"]
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(words, cwd=folder, env=self.env, stderr=log)

    def execute(self, call: Call) -> int:
        """Run `lifecycle` as in the container of the app."""
        assert call.words[0] == "lifecycle"
        return call.real(sys.executable, "-m", "lifecycle", *call.words[1:], env=self.env)

    @property
    def ready(self) -> bool:
        """Whether the kubelet would take it for ready."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.qos}/ready", timeout=5):
                return True
        except (urllib.error.URLError, OSError):
            return False


@pytest.fixture
def app(api: ApiServer, tmp_path: Path) -> Iterator[Running]:
    """A real app."""
    running = Running(tmp_path)
    api.execute = running.execute
    api.put("pods", pod("orders-1", annotation=told()))
    try:
        api.wait(lambda: running.ready, "the app is ready")
        yield running
    finally:
        running.process.kill()
        running.process.wait(LATEST)


def test_status_is_that_of_the_app(app: Running, capsys: pytest.CaptureFixture[str]) -> None:
    """As a table, and as JSON."""
    assert fleet("status", "orders-1") == 0
    shown = capsys.readouterr().out
    assert shown.startswith("READY for ")
    assert "orders" in shown
    assert fleet("status", "orders-1", "--json") == 0
    assert json.loads(capsys.readouterr().out)["services"][0]["name"] == "orders"


def test_work_in_flight_has_its_name(app: Running, capsys: pytest.CaptureFixture[str]) -> None:
    """With the line at which it stands."""

    def ask(path: str) -> None:
        urllib.request.urlopen(f"http://127.0.0.1:{app.port}{path}", timeout=2 * LATEST).close()

    def shown() -> bool:
        assert fleet("inflight", "orders-1", "--stacks") == 0
        out = capsys.readouterr().out
        return "GET /slow" in out and "shop.py:" in out

    thread = threading.Thread(target=ask, args=("/slow",))
    thread.start()
    try:
        wait_for(shown, LATEST, "the request in flight")
    finally:
        ask("/release")
        thread.join(LATEST)


def test_a_limit_that_the_app_refuses(app: Running, capsys: pytest.CaptureFixture[str]) -> None:
    """The reason is that of the app."""
    assert fleet("inflight", "orders-1", "--limit", "0") == 1
    assert "limit" in capsys.readouterr().err


def test_offline_and_online(app: Running, capsys: pytest.CaptureFixture[str]) -> None:
    """The app is not ready in between, and --wait says that no client is served."""
    assert fleet("offline", "orders-1", "--wait") == 0
    assert not app.ready
    assert "no client is served" in capsys.readouterr().out
    assert fleet("online", "orders-1") == 0
    assert app.ready


def test_no_such_service(app: Running, capsys: pytest.CaptureFixture[str]) -> None:
    """The reason is that of the app."""
    assert fleet("offline", "orders-1", "--service", "odrers") == 1
    assert "lifecycle offline in pod/orders-1 has failed with exit code 1: " in (
        capsys.readouterr().err
    )
    assert app.ready


class Client(threading.Thread):
    """Keeps a connection, and uses the pod while it is ready, as a proxy would."""

    def __init__(self, app: Running) -> None:
        super().__init__()
        self._app = app
        self.done = threading.Event()
        self.served = 0
        self.lost: list[str] = []

    def run(self) -> None:
        """Send requests."""
        connection: http.client.HTTPConnection | None = None
        while not self.done.is_set():
            if connection is None:
                if not self._app.ready:
                    continue
                connection = http.client.HTTPConnection("127.0.0.1", self._app.port, timeout=LATEST)
            try:
                connection.request("GET", "/")
                answer = connection.getresponse()
                answer.read()
                self.served += 1
            except (OSError, http.client.HTTPException) as error:
                self.lost.append(repr(error))
                answer = None
            if answer is None or answer.will_close:
                connection.close()
                connection = None
        if connection is not None:
            connection.close()


def test_maintenance_loses_nothing(app: Running, capfd: pytest.CaptureFixture[str]) -> None:
    """Clients on kept connections are told to go, and come back afterwards."""
    clients = [Client(app) for _ in range(4)]
    for each in clients:
        each.start()
    script = f"{sys.executable} -m lifecycle ls"
    try:
        for _ in range(2):
            before = [each.served for each in clients]
            environ = " ".join(
                f"{n}={app.env[n]}" for n in ("LIFECYCLE_QOS_PORT", "LIFECYCLE_RUN_DIR")
            )
            assert fleet("maintain", "orders-1", "--", "sh", "-c", f"{environ} {script}") == 0
            numbers = list(zip(clients, before, strict=True))
            wait_for(
                lambda: all(each.served > n + 10 for each, n in numbers),  # noqa: B023
                LATEST,
                "the clients come back",
            )
    finally:
        for each in clients:
            each.done.set()
            each.join(LATEST)
    shown = capfd.readouterr()
    assert shown.out.count("offline (operator)") == 2
    assert shown.err.count("no client is served") == 2
    assert [each.lost for each in clients] == [[], [], [], []]
    assert app.ready


def test_an_app_that_is_gone(app: Running, capsys: pytest.CaptureFixture[str]) -> None:
    """The message is that of the command in the pod."""
    app.process.kill()
    app.process.wait(LATEST)

    assert fleet("status", "orders-1") == 2
    assert "no app answers on the control socket" in capsys.readouterr().err
    assert fleet("maintain", "orders-1", "--for", "1") == 1
    assert "lifecycle status in pod/orders-1 has failed with exit code 2: no app answers" in (
        capsys.readouterr().err
    )
