"""A main that is asked to end, and does as it likes: its exit code, and when it is out."""

from __future__ import annotations

import signal
import time
from contextlib import ExitStack

import pytest

from tests.process.kit import GRACE, LATEST, RECORDED, App, assert_left, background
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
    with ExitStack() as stack:
        apps = {}
        for name, (source, _, _) in STUBBORN.items():
            cwd = tmp_path_factory.mktemp("stubborn")
            apps[name] = stack.enter_context(App.start(source, env=RECORDED, cwd=cwd))
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
                assert report["cut_off"] == ["1 in flight"]
            if "blocks" in name:
                assert ".py:" in report["stuck_at"][-1]


class TestAsked:
    """Main is asked to end, and does as it likes."""

    def test_job_interrupted(self, start):
        """An unmodified main without services that a drain had to cancel: 143, its finally ran."""
        app = start(
            unmodified("try: await asyncio.sleep(60)", "finally: print('finally', flush=True)"),
            env=RECORDED,
        )
        app.wait_state("ready")

        app.signal(SIGTERM)
        assert_left(app, 143)

        assert "finally" in app.stdout

    def test_job_that_handles_it(self, start):
        """A job that ends in its own way when it is cancelled has its own exit code."""
        app = start(
            unmodified("try: await asyncio.sleep(60)", "except asyncio.CancelledError: return 5"),
            env=RECORDED,
        )
        app.wait_state("ready")

        app.signal(SIGTERM)
        assert_left(app, 5, "failed")

    def test_returns_while_work_is_in_flight(self, start):
        """Main returned at T0, a tracked task goes on: it is waited for, not cut off."""
        app = start(
            with_main(
                "async def work():",
                "    with life.track(): await asyncio.sleep(1)",
                "    print('done', flush=True)",
                "main.task = asyncio.create_task(work())",
                "await life.reached(lifecycle.State.DRAINING)",
            ),
            env=RECORDED,
        )
        app.wait_state("ready")

        app.signal(SIGTERM)
        assert_left(app, 0)

        assert "done" in app.stdout

    def test_loses_a_race_with_draining(self, start):
        """`export` after T0 raises Draining; a main that lets it through leaves with 0."""
        app = start(
            with_main("await life.reached(lifecycle.State.DRAINING)", "life.export('late')"),
            env=RECORDED,
        )
        app.wait_state("ready")

        app.signal(SIGTERM)
        assert_left(app, 0)
