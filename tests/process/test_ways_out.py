"""Other ways out than main's return: the loop stopped, a handler's own end, odd exit codes."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from signal import SIGINT, SIGTERM

import pytest

from tests.process.kit import QUICK, App, side_by_side, wait_for

Start = Callable[..., App]


SIGNALLED = {
    "a handler exits with a code": ("signal.signal(15, lambda *_: sys.exit(3))", 3),
    "a handler exits with success": ("signal.signal(15, lambda *_: sys.exit(0))", 0),
    "a handler raises": ("signal.signal(15, lambda *_: 1 / 0)", 1),
    "a handler stops the loop": (
        "loop = asyncio.get_running_loop(); loop.add_signal_handler(15, loop.stop)",
        143,
    ),
    "a handler raises the signal again": (
        "signal.signal(15, lambda n, _: (signal.signal(n, signal.SIG_DFL), signal.raise_signal(n)))",
        143,
    ),
    "a handler kills": ("signal.signal(15, lambda n, _: os.kill(os.getpid(), n))", 143),
    "main returns 256": (
        "try: await asyncio.sleep(60)\n    except asyncio.CancelledError: return 256",
        1,
    ),
    "main answers the second cancellation": (
        "for code in (None, 5):\n"
        "        try: await asyncio.sleep(60)\n"
        "        except asyncio.CancelledError: pass\n"
        "    return code",
        5,
    ),
    "main answers the third cancellation": (
        "for code in (None, None, 5):\n"
        "        try: await asyncio.sleep(60)\n"
        "        except asyncio.CancelledError: pass\n"
        "    return code",
        124,
    ),
}


SIGNALLED_MAIN = """
import asyncio, logging, os, signal, sys
import lifecycle

logging.basicConfig(level=logging.INFO)

async def main():
    {line}
    await asyncio.sleep(60)

lifecycle.run(main)
"""


@pytest.fixture(scope="module")
def signalled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, App]]:
    """Run all of them side by side, and send each a SIGTERM in READY."""
    mains = {name: SIGNALLED_MAIN.format(line=line) for name, (line, _) in SIGNALLED.items()}
    with side_by_side(tmp_path_factory.mktemp, mains, QUICK) as apps:
        for app in apps.values():
            app.wait_state("ready")
            app.signal(SIGTERM)
        yield apps


@pytest.mark.parametrize("name", SIGNALLED)
def test_after_a_signal(signalled: Mapping[str, App], name: str) -> None:
    """The drain is over before; then what the app wants counts, in the report and for the kernel."""
    app, (_, code) = signalled[name], SIGNALLED[name]

    assert app.wait() == code, app.stderr
    (report,) = app.events("drain report")
    assert report["code"] == code
    assert "/lifecycle/" not in re.sub(r"https://\S+", "", app.stderr), "a traceback of our own"


def test_the_loop_is_stopped(start: Start) -> None:
    """`loop.stop()` in READY is a way out like others: deregistered, cancelled, told."""
    app = start(
        """
import asyncio, logging
import lifecycle

logging.basicConfig(level=logging.INFO)

async def main(life):
    life.export("orders")
    await life.ready()
    try:
        asyncio.get_running_loop().stop()
        await asyncio.sleep(60)
    finally:
        print("cleaned up", flush=True)

lifecycle.run(main)
""",
        env=QUICK,
    )

    assert app.wait() == 1
    (report,) = app.events("drain report")
    assert report["code"] == 1
    assert "unregistered" not in report
    assert app.stdout == "cleaned up\n"
    assert "Traceback" not in app.stderr, app.stderr


def test_a_second_signal_while_a_handler_takes_its_time(start: Start) -> None:
    """It comes from outside, and forces, whatever the handler is at."""
    app = start(
        """
import asyncio, signal, time
import lifecycle

def slow(*_):
    print("handling", flush=True)
    time.sleep(3)

async def main(life):
    signal.signal(signal.SIGTERM, slow)
    await life.ready()
    await asyncio.sleep(60)

lifecycle.run(main)
""",
        env=QUICK | {"LIFECYCLE_GRACE_PERIOD": "30"},
    )
    app.wait_state("ready")
    app.signal(SIGTERM)
    wait_for(lambda: "handling" in app.stdout, 10, lambda: app.stderr)

    app.signal_again(SIGTERM)

    assert app.wait(20) == 1
    assert app.events("drain report")[0]["forced"] is True


def test_a_run_after_a_run(start: Start) -> None:
    """The time of the first one's drain is not the second one's."""
    app = start(
        """
import asyncio
import lifecycle

async def first(life):
    await life.ready()
    await life.drained()

async def second(life):
    await life.ready()
    print("second", flush=True)
    await life.drained()

lifecycle.run(first)
lifecycle.run(second)
""",
        env=QUICK | {"LIFECYCLE_GRACE_PERIOD": "4"},
    )
    app.wait_state("ready")
    began = app.signal(SIGINT)
    wait_for(lambda: "second" in app.stdout, 10, lambda: app.stderr)

    wait_for(lambda: time.monotonic() > began + 5, 10, "the first one's time to be over")

    app.stop()
    assert not app.events("killed")
