"""Commands of plugins that hang, or that the app's loop does not get round to."""

from __future__ import annotations

from collections.abc import Callable

from tests.process.kit import App, wait_for

Start = Callable[..., App]

QUICK = {"LIFECYCLE_SETTLE": "0.1", "LIFECYCLE_QUIET": "0.1"}

HANGING = """
import lifecycle, os, threading
from lifecycle import Command, hookimpl

free = threading.Event()

class Plugin:
    @hookimpl
    def lifecycle_commands(self):
        yield Command("hangs", hangs, timeout=0.3)
        yield Command("threads", lambda request: len(threads()))
        yield Command("free", lambda request: free.set(), changes=True)

def threads():
    return [each for each in threading.enumerate() if each.name == "lifecycle-Plugin"]

def hangs(request):
    free.wait(30)
    return "over"

async def main(life):
    await life.ready()
    await life.drained()

lifecycle.run(main, plugins=[Plugin()])
"""


def test_a_handler_that_hangs_has_one_thread(start: Start) -> None:
    """Who calls it again gets a 503 that says why, until the first call has ended."""
    app = start(HANGING, env=QUICK)
    app.wait_state("ready")

    assert app.get("/hangs")[:2] == (500, "/hangs gave no answer for 0.3 s\n")
    for _ in range(5):
        status, body, _ = app.get("/hangs")
        assert status == 503
        assert body.startswith("/hangs not started: the previous run is still running after ")
    assert app.get("/threads")[1] == "2"  # it, and the one that counts
    app.get("/free", method="POST")
    assert wait_for(lambda: (got := app.get("/hangs"))[0] == 200 and got[1], 20, "an answer")


BUSY = """
import threading
import lifecycle
from lifecycle import Command, hookimpl

free = threading.Event()
runs = []

class Plugin:
    @hookimpl
    def lifecycle_commands(self):
        yield Command("block", block, changes=True, timeout=0.1)
        yield Command("change", change, changes=True, timeout=0.1)
        yield Command("runs", lambda request: str(len(runs)))
        yield Command("free", lambda request: free.set(), changes=True)

async def block(request):
    free.wait(30)

async def change(request):
    runs.append(1)
    return "changed"

async def main(life):
    await life.ready()
    await life.drained()

lifecycle.run(main, plugins=[Plugin()])
"""


def test_a_command_that_was_refused_does_not_run_later(start: Start) -> None:
    """Whoever was told "not started" while the app's loop was busy can count on it."""
    app = start(BUSY, env=QUICK)
    app.wait_state("ready")
    assert app.get("/block", method="POST")[1].endswith("it blocks the app's event loop\n")

    for _ in range(3):
        status, body, _ = app.get("/change", method="POST")
        assert (status, body[:20]) == (500, "/change not started ")
    app.get("/free", method="POST")

    changed = wait_for(
        lambda: (got := app.get("/change", method="POST"))[0] == 200 and got[1], 20, "an answer"
    )
    assert changed == "changed\n"
    assert app.get("/runs")[1] == "1\n"
