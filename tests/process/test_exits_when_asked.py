"""A main that is asked to end, and does as it likes: its exit code, and when it is out."""

from __future__ import annotations

import signal
import time

import pytest

from tests.process.kit import GRACE, LATEST, RECORDED, assert_left, background, side_by_side
from tests.process.mains import unmodified, with_main

SIGTERM = signal.SIGTERM


IGNORES = (
    "while True:",
    "    try: await asyncio.sleep(60)",
    "    except asyncio.CancelledError: pass",
)
CLEANS_UP_SLOWLY = ("try: await asyncio.sleep(60)", "finally: await asyncio.sleep(60)")
BLOCKS_IN_CLEANUP = ("try: await asyncio.sleep(60)", "finally: time.sleep(60)")


def after_drained(*lines):
    return with_main(*lines, "await life.drained()")


# Each is sent SIGTERM in READY; then its exit code and its final state.
STUBBORN = {
    "ignores its cancellation": (with_main(*IGNORES), 124, "failed"),
    "ignores its cancellation, unmodified": (unmodified(*IGNORES), 124, "failed"),
    "awaits in its cleanup": (with_main(*CLEANS_UP_SLOWLY), 124, "failed"),
    "awaits in its cleanup, unmodified": (unmodified(*CLEANS_UP_SLOWLY), 124, "failed"),
    "blocks in its cleanup": (with_main(*BLOCKS_IN_CLEANUP), 124, "failed"),
    "blocks in its cleanup, unmodified": (unmodified(*BLOCKS_IN_CLEANUP), 124, "failed"),
    "never looks at the drain": (with_main("await asyncio.sleep(60)"), 124, "failed"),
    "a thread hangs": (
        after_drained("threading.Thread(target=time.sleep, args=(60,)).start()"),
        124,
        "stopped",
    ),
    "a daemon thread hangs": (
        after_drained("threading.Thread(target=time.sleep, args=(60,), daemon=True).start()"),
        0,
        "stopped",
    ),
    "the executor hangs": (
        after_drained("x = asyncio.get_running_loop().run_in_executor(None, time.sleep, 60)"),
        124,
        "stopped",
    ),
    "an exit handler hangs": (
        after_drained("import atexit", "atexit.register(time.sleep, 60)"),
        124,
        "stopped",
    ),
    "a task left behind ignores its cancellation": (
        after_drained(
            "async def other():",
            *(f"    {line}" for line in IGNORES),
            "main.task = asyncio.create_task(other())",
        ),
        124,
        "failed",
    ),
    "work in flight never ends": (
        after_drained(
            "async def work():",
            "    with life.track(): await asyncio.sleep(60)",
            "main.task = asyncio.create_task(work())",
        ),
        124,
        "failed",
    ),
    "never quiet": (
        after_drained(
            "async def work():",
            "    while True:",
            "        with life.track(): await asyncio.sleep(0)",
            "        await asyncio.sleep(0.05)",
            "main.task = asyncio.create_task(work())",
        ),
        0,
        "stopped",
    ),
}


@pytest.fixture(scope="module")
def stubborn(tmp_path_factory):
    """Run all of them side by side: each one with the seconds it took to leave."""
    sources = {name: source for name, (source, _, _) in STUBBORN.items()}
    with side_by_side(tmp_path_factory.mktemp, sources, RECORDED) as apps:
        for app in apps.values():
            app.wait_state("ready", 20)
        yield {name: (app, background(lambda app=app: leave(app))) for name, app in apps.items()}


def leave(app):
    began = app.signal(SIGTERM)
    app.wait(GRACE + 5)
    return time.monotonic() - began


@pytest.mark.parametrize("name", STUBBORN)
class TestStubborn:
    def test_out_in_time(self, stubborn, name):
        """Whatever hangs: out inside the grace period, with the right code and state."""
        app, seconds = stubborn[name]
        _, code, final = STUBBORN[name]

        assert seconds.result(GRACE + 10) < LATEST
        assert_left(app, code, final)

    def test_report(self, stubborn, name):
        """What was cut off is in the report; where it hung, if a drain was held up by it."""
        app, _ = stubborn[name]
        app.wait(GRACE + 5)
        _, _, final = STUBBORN[name]

        if final == "failed":
            report = app.events("drain report")[0]
            assert report["cut_off"]
            if "flight" in name:
                assert report["cut_off"][0].startswith("tracked work, after ")
            if "blocks" in name:
                assert ".py:" in report["stuck_at"][-1]


# The same, of those that end in their own time: and what they say before.
ASKED = {
    # An unmodified main without services that a drain had to cancel: its `finally` has run.
    "a job is interrupted": (
        unmodified("try: await asyncio.sleep(60)", "finally: print('finally', flush=True)"),
        143,
        "stopped",
        "finally",
    ),
    "a job ends in its own way when it is cancelled": (
        unmodified("try: await asyncio.sleep(60)", "except asyncio.CancelledError: return 5"),
        5,
        "failed",
        "",
    ),
    # It is waited for, not cut off.
    "main returns at T0 while work is in flight": (
        with_main(
            "async def work():",
            "    with life.track(): await asyncio.sleep(1)",
            "    print('done', flush=True)",
            "main.task = asyncio.create_task(work())",
            "await life.reached(lifecycle.State.DRAINING)",
        ),
        0,
        "stopped",
        "done",
    ),
    # `export` raises Draining, and main lets it through.
    "main loses a race with draining": (
        with_main("await life.reached(lifecycle.State.DRAINING)", "life.export('late')"),
        0,
        "stopped",
        "",
    ),
}


@pytest.mark.parametrize("name", ASKED)
def test_asked(start, name):
    """Main is asked to end, and ends as it likes: its exit code, and what it still did."""
    source, code, final, said = ASKED[name]
    app = start(source, env=RECORDED)
    app.wait_state("ready")

    app.signal(SIGTERM)
    assert_left(app, code, final)

    assert said in app.stdout
