"""An unmodified main that cannot become ready says why, and ends."""

from __future__ import annotations

from tests.process.kit import RECORDED, assert_left

BROKEN = """
import asyncio, lifecycle

async def broken(life):
    raise ZeroDivisionError("it cannot be")

lifecycle.Lifecycle.ready = broken

async def main():
    await asyncio.sleep(60)

lifecycle.run(main)
"""


def test_an_error_on_the_way_to_ready(start):
    """The traceback is shown, and the app drains: exit code 1, and no silence for ever."""
    app = start(BROKEN, env=RECORDED)

    assert_left(app, 1, "failed")

    assert "ZeroDivisionError: it cannot be" in app.stderr
    assert "could not become ready" in app.record("transition")[-2]["cause"]
