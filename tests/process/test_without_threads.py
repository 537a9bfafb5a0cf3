"""
The system has no thread to give: the pod's, or the user's, limit is reached.

A stack that no address space holds makes the system refuse every new thread of one process,
as it does at the limit, and needs neither root nor a user of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from signal import SIGTERM

import pytest

from tests.process.kit import LATEST, RECORDED, App, wait_for

Start = Callable[..., App]

NO_MORE = """
import logging, os, threading, time
import lifecycle
logging.basicConfig(level="INFO")

def no_more_threads():
    threading.stack_size(1 << 62)
"""

BEGINS = """
left = LEFT
start = threading.Thread.start

def counted(thread):
    global left
    if left == 0:
        no_more_threads()
    left -= 1
    start(thread)

threading.Thread.start = counted

async def main(life):
    print("main", flush=True)

lifecycle.run(main)
"""


@pytest.mark.parametrize("left", [0, 1, 2])
def test_a_start_without_threads(start: Start, left: int) -> None:
    """Control thread, log, watchdog: without one of them it does not start, and says why."""
    app = start(NO_MORE + BEGINS.replace("LEFT", str(left)))

    assert app.wait() == 2, app.stderr
    assert "lifecycle: cannot start a thread (can't start new thread)" in app.stderr
    assert "Traceback" not in app.stderr, app.stderr
    assert app.stdout == ""
    assert [each["cause"] for each in app.events("failed")] in ([], ["exit code 2"])


def test_a_block_without_threads(start: Start) -> None:
    """`async with Lifecycle()` raises, and gives the port back."""
    app = start(
        NO_MORE
        + """
import asyncio

async def main():
    no_more_threads()
    for _ in range(2):
        try:
            async with lifecycle.Lifecycle():
                pass
        except lifecycle.LifecycleError as error:
            print(str(error).split(".")[0], flush=True)

asyncio.run(main())
"""
    )
    assert app.wait() == 0, app.stderr
    assert app.stdout == "cannot start a thread (can't start new thread)\n" * 2


LEAVES = """
class Plugin:
    @lifecycle.hookimpl
    def lifecycle_transition(self, transition): pass
    @lifecycle.hookimpl
    def lifecycle_drain(self): pass
    @lifecycle.hookimpl
    def lifecycle_readiness(self): return True

async def main(life):
    life.export("orders", port=int(os.environ["PORT"]))
    await life.ready()
    no_more_threads()
    print("no more", flush=True)
    await life.drained()
    END

lifecycle.run(main, plugins=[Plugin()])
"""


@pytest.mark.parametrize(
    ("end", "code"), [("pass", 0), ("time.sleep(600)", 124)], ids=["returns", "hangs"]
)
def test_a_drain_without_threads(start: Start, end: str, code: int) -> None:
    """It takes its course; hooks that would need a thread are named, and nobody waits for them."""
    app = start(NO_MORE + LEAVES.replace("END", end), env=RECORDED)
    wait_for(lambda: "no more" in app.stdout, 10, lambda: app.stderr)
    assert app.get("/live")[:2] == (200, "true")

    at = app.signal(SIGTERM)
    assert app.wait(LATEST) == code, app.stderr
    assert time.monotonic() - at < LATEST
    problems = " ".join(each["problem"] for each in app.events("plugin"))
    assert "lifecycle_drain raised RuntimeError: can't start new thread" in problems
    assert app.record("deregister")
    assert "Traceback" not in app.stderr, app.stderr
