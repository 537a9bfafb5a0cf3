"""What main leaves behind, and leaving though nobody reads or waits."""

from __future__ import annotations

from collections.abc import Callable
from signal import SIGTERM

import pytest

from tests.process.kit import GRACE, LATEST, RECORDED, App, assert_left
from tests.process.mains import with_main

Start = Callable[..., App]

FULL_PIPE = """
import os
_, write = os.pipe()
os.set_blocking(write, False)
try:
    while True:
        os.write(write, bytes(65536))
except BlockingIOError:
    pass
os.set_blocking(write, True)
os.dup2(write, 2)
"""


def test_a_task_left_behind_may_clean_up(start: Start) -> None:
    """It is cancelled and waited for before the app is called stopped, while time is left."""
    app = start(
        with_main(
            "async def other():",
            "    try: await asyncio.sleep(60)",
            "    finally:",
            "        await asyncio.sleep(1)",
            "        print('cleaned up', life.state, flush=True)",
            "main.task = asyncio.create_task(other())",
            "await life.drained()",
        ),
        env=RECORDED,
    )
    app.wait_state("ready")

    app.signal(SIGTERM)

    assert_left(app, 0, timeout=GRACE)
    assert "cleaned up draining" in app.stdout


def test_a_hook_is_no_task_left_behind(start: Start) -> None:
    """What a plugin is just doing on the app's loop is not cancelled with main's leavings."""
    app = start(
        """
import asyncio
import lifecycle

class Teller:
    @lifecycle.hookimpl
    async def lifecycle_transition(self, transition):
        if transition.after == "draining":
            await asyncio.sleep(0.2)
            print("told", flush=True)

async def main(life):
    await life.ready()

lifecycle.run(main, plugins=[Teller()])
""",
        env=RECORDED,
    )

    assert_left(app, 0)
    assert "told" in app.stdout


@pytest.mark.parametrize(
    ("last", "code"), [("pass", 0), ("raise RuntimeError('x' * 100_000)", 1)], ids=["log", "raised"]
)
def test_nobody_reads_stderr(start: Start, last: str, code: int) -> None:
    """A full pipe holds up neither the drain nor the exit, whatever was to be written there."""
    app = start(FULL_PIPE + with_main("await life.drained()", last), env=RECORDED)
    app.wait_state("ready")

    assert app.stop(code, timeout=GRACE + 5) < LATEST


def test_whoever_waits_for_the_end_is_cancelled(start: Start) -> None:
    """`async with` that is cancelled while it leaves: what hangs is let go, the port closed."""
    app = start(
        """
import asyncio, socket, threading
import lifecycle

async def serve(limit):
    async with lifecycle.Lifecycle() as life:
        work = life.track()
        work.__enter__()
        await life.ready()
        serve.port = int(life.qos_url.rpartition(":")[2])
        limit.reschedule(asyncio.get_running_loop().time() + 1)

async def main():
    try:
        async with asyncio.timeout(None) as limit:
            await serve(limit)
    except TimeoutError:
        print("timed out", flush=True)
    with socket.socket() as sock:
        print("port", sock.connect_ex(("127.0.0.1", serve.port)) != 0, flush=True)
    names = [each.name for each in threading.enumerate() if each.name == "lifecycle-control"]
    print("threads", names, flush=True)

asyncio.run(main())
""",
        env=RECORDED | {"LIFECYCLE_GRACE_PERIOD": "600"},
    )

    assert app.wait() == 0
    assert app.stdout.splitlines() == ["timed out", "port True", "threads []"]


def test_run_inside_a_running_loop(start: Start) -> None:
    """It is refused before anything is opened, with the way out; the app's loop goes on."""
    app = start(
        """
import asyncio, threading
import lifecycle

async def main(): ...

async def outer():
    try:
        lifecycle.run(main)
    except RuntimeError as error:
        print(error, threading.active_count(), flush=True)

asyncio.run(outer())
""",
        env=RECORDED,
    )

    assert app.wait() == 0
    assert "async with lifecycle.Lifecycle()" in app.stdout
    assert app.stdout.endswith(" 1\n")
