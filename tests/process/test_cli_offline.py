"""`lifecycle offline --wait` on the command line: its exit codes, and what it says."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.process.commands import run
from tests.process.h1_client import Connection
from tests.process.kit import App, background, wait_for
from tests.process.rollout import SERVED

Start = Callable[..., App]

MAIN = """
import asyncio, os

async def main(life):
    life.export("orders", port=int(os.environ["PORT"]))
    life.export("billing")
    await life.ready()
    with life.track(name="import 7"):
        await asyncio.sleep(float(os.environ["BUSY"]))
    await life.drained()
"""
TIMES = {
    "LIFECYCLE_SETTLE": "0.5",
    "LIFECYCLE_QUIET": "0.2",
    "LIFECYCLE_STOP_TIMEOUT": "1",
    "LIFECYCLE_GRACE_PERIOD": "6",
}
ENDLESS = "60"
DONE = r"OK: orders, billing offline, no client is served \(waited \d+\.\d s\)\n"


def serve(start: Start, folder: Path, busy: str = "0", **env: str) -> App:
    """Start an app with two services, in which something is in flight for some time."""
    (folder / "shop.py").write_text(MAIN)
    argv = ["-m", "lifecycle", "run", "shop:main"]
    app = start(argv, cwd=folder, env={**TIMES, "BUSY": busy, **env})
    app.wait_state("ready")
    return app


def refusal(done: subprocess.CompletedProcess[str]) -> str:
    """Return the message of a command that has failed, and was explained."""
    assert done.returncode == 1, done
    assert done.stdout == ""
    message, _, see = done.stderr.rpartition("See ")
    assert see.strip().startswith("https://")
    return message


def test_nothing_is_served(start: Start, tmp_path: Path) -> None:
    """It returns 0 and says how long that took; what is in flight is waited for."""
    app = serve(start, tmp_path, busy="3")
    done = app.cli("offline", "--wait")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(DONE, done.stdout), done.stdout
    assert app.status()["in_flight"] == 0
    assert "every app service has been offline for" in app.cli("status").stdout
    assert app.cli("online").stdout == "OK: orders, billing\n"
    assert "every app service has been" not in app.cli("status").stdout
    app.stop(0)


def test_one_of_two_services(start: Start, tmp_path: Path) -> None:
    """What is in flight may be of the other one: the answer says that nobody waited for it."""
    app = serve(start, tmp_path, busy=ENDLESS)
    done = app.cli("offline", "ord*", "--wait", "--timeout", "10")
    assert done.returncode == 0, done
    assert re.fullmatch(
        r"OK: orders offline \(waited 0\.\d s\)\. Other app services are online \(billing\), so "
        r"running requests were not waited for\n",
        done.stdout,
    )


def test_the_time_is_over(start: Start, tmp_path: Path) -> None:
    """What is in flight is named, and the services stay offline."""
    app = serve(start, tmp_path, busy=ENDLESS)
    message = refusal(app.cli("offline", "--wait", "--timeout", "1.5"))
    assert message.startswith("timed out after 1.5 s (1 in flight: import 7). ")
    assert [each["online"] for each in app.status()["services"]] == [False, False]


def test_a_service_is_online_again(start: Start, tmp_path: Path) -> None:
    """Somebody has changed their mind: the wait ends at once."""
    app = serve(start, tmp_path, busy=ENDLESS)
    waiting = background(lambda: app.cli("offline", "--wait"))
    wait_for(lambda: app.status().get("maintenance"), 10, "offline")
    assert app.cli("online", "billing").returncode == 0
    message = refusal(waiting.result(10))
    assert message == "the wait is over, because an app service is online again: billing\n"


def test_the_app_drains(start: Start, tmp_path: Path) -> None:
    """The wait ends when the drain starts, and a new one is refused."""
    app = serve(start, tmp_path, busy=ENDLESS)
    waiting = background(lambda: app.cli("offline", "--wait"))
    wait_for(lambda: app.status().get("maintenance"), 10, "offline")
    background(lambda: app.cli("prestop"))
    assert refusal(waiting.result(10)).startswith("offline --wait is not possible while the app is")
    assert refusal(app.cli("offline", "--wait")).startswith("offline --wait is not possible")


def test_who_waits_may_stop_waiting(start: Start, tmp_path: Path) -> None:
    """Ctrl-C ends the command, and nothing else: the services stay offline."""
    app = serve(start, tmp_path, busy=ENDLESS)
    waiting = app.beside(start, "offline", "--wait", tty=True)
    wait_for(lambda: app.status().get("maintenance"), 10, "offline")
    os.write(waiting.terminal, b"\x03")
    assert waiting.wait() == 130
    assert "Traceback" not in waiting.stdout
    assert [each["online"] for each in app.status()["services"]] == [False, False]
    assert app.cli("online").returncode == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--timeout", "5"], "--timeout needs --wait"),
        (["--wait", "--timeout", "0"], "'0' is not a number of seconds, above 0 and at most 86400"),
        (["--wait", "--timeout", "1m"], "'1m' is not a number of seconds"),
    ],
)
def test_wrong_arguments(start: Start, tmp_path: Path, words: list[str], message: str) -> None:
    """They are refused, and nothing is taken offline."""
    app = serve(start, tmp_path)
    done = app.cli("offline", *words)
    assert done.returncode == 2
    assert message in done.stderr
    assert "See https://" in done.stderr
    assert [each["online"] for each in app.status()["services"]] == [True, True]


def test_over_http(start: Start, tmp_path: Path) -> None:
    """The same with curl, and a status code for each end."""
    app = serve(start, tmp_path, busy="2")
    status, body, *_ = app.get("/offline?wait=0.2", method="POST")
    assert status == 504
    assert body.startswith("timed out after 0.2 s (")
    assert app.get("/offline?wait=20", method="POST")[0] == 200
    assert app.get("/offline?wait=soon", method="POST")[0] == 400
    assert app.get("/offline/nobody?wait=1", method="POST")[0] == 404


def test_the_workers_of_a_command(start: Start, tmp_path: Path) -> None:
    """Their requests are named, and waited for."""
    uvicorn = (sys.executable, "-m", "uvicorn", "--port", "{port}", "shop:app")
    app = run(start, tmp_path, *uvicorn, PYTHONPATH=str(SERVED), **TIMES)
    app.wait_state("ready")

    async def main() -> None:
        connection = await Connection.open(app.port)
        with closing(connection):
            asking = asyncio.create_task(connection.ask("/slow"))
            while not app.status()["in_flight"]:
                await asyncio.sleep(0.05)
            late = await asyncio.to_thread(app.cli, "offline", "--wait", "--timeout", "0.7")
            assert "(1 in flight: GET /slow from test/1)" in refusal(late)
            done = await asyncio.to_thread(app.cli, "offline", "--wait")
            assert asking.done()
            assert done.stdout.startswith("OK: shop offline, no client is served"), done
            answer = await asking
            assert (answer.status, answer.closes) == (200, True)

    asyncio.run(asyncio.wait_for(main(), 60))
    app.stop(0)


def test_a_command_that_is_not_instrumented(start: Start, tmp_path: Path) -> None:
    """The kernel shows its new connections; the answer says what it cannot show."""
    server = (sys.executable, "-m", "http.server", "{port}", "--bind", "127.0.0.1")
    app = run(start, tmp_path, *server, options=("--instrument=no",), **TIMES)
    app.wait_state("ready")

    async def main() -> None:
        asking = asyncio.create_task(ask_until_told())
        late = await asyncio.to_thread(app.cli, "offline", "--wait", "--timeout", "2")
        over.set()
        await asking
        assert "requests still arrive: connections from 127.0.0.1" in refusal(late)
        done = await asyncio.to_thread(app.cli, "offline", "--wait")
        assert done.returncode == 0
        assert "The command is not instrumented" in done.stdout
        assert (await asyncio.to_thread(app.cli, "online")).returncode == 0

    async def ask_until_told() -> None:
        size = 0
        while not over.is_set():
            connection = await Connection.open(app.port)
            with closing(connection):
                size += 1  # a monitor would always send the same
                await connection.ask("/", {"X": "x" * (size * size % 97)})
            await asyncio.sleep(0.03)

    over = asyncio.Event()
    asyncio.run(asyncio.wait_for(main(), 60))
    app.stop(0)
