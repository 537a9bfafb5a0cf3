"""Apps whose plugins do something wrong, each in a way of its own."""

from __future__ import annotations

from collections.abc import Callable

from tests.process.kit import App

Start = Callable[..., App]


APP = """
import asyncio, os, sys, threading, time
import lifecycle
from lifecycle import Command, Level, ProbeResult, hookimpl, probe
from lifecycle.runtime import core_of

class Good:
    @hookimpl
    async def lifecycle_readiness(self):
        return ProbeResult(True, "fine")

class Inside:
    @hookimpl
    def lifecycle_commands(self):
        async def inside(request):
            loop = asyncio.get_running_loop()
            control = next(
                t.ident for t in threading.enumerate() if t.name == "lifecycle-control"
            )
            mine = core_of(lifecycle.current()).control.loop
            return {
                "threads": threading.active_count(),
                "tasks": len(asyncio.all_tasks(loop)),
                "handles": len(loop._ready) + sum(not h.cancelled() for h in loop._scheduled),
                "control_tasks": len(asyncio.all_tasks(mine)),
                "control_handles": len(mine._ready),
            }
        return [Command("inside", inside, level=Level.PUBLIC)]

{plugin}

async def main(life):
    life.use(Good(), name="good")
    life.use(Inside(), name="inside")
    {use}
    life.export("orders", port=int(os.environ["PORT"]))
    await life.ready()
    await life.drained()

import logging
logging.basicConfig(level="INFO")
lifecycle.run(main)
"""


def source(plugin: str, use: str = 'life.use(Bad(), name="bad")') -> str:
    return APP.replace("{plugin}", plugin).replace("{use}", use)


def readiness(body: str, head: str = "def", marks: str = "") -> str:
    lines = "".join(f"        {line}\n" for line in body.splitlines())
    return f"class Bad:\n    @hookimpl\n{marks}    {head} lifecycle_readiness(self):\n{lines}"


RAISES = {
    "raises": ("def", "raise LookupError('no such\\ntable')", "raised LookupError: no such"),
    "raises async": ("async def", "raise LookupError('x')", "raised LookupError: x"),
    "exits": ("def", "raise SystemExit(3)", "raised SystemExit: 3"),
    "exits async": ("async def", "sys.exit(3)", "raised SystemExit: 3"),
    "interrupts": ("async def", "raise KeyboardInterrupt", "raised KeyboardInterrupt"),
    "unspeakable": (
        "def",
        "class Mute(Exception):\n    def __str__(self): raise ValueError\nraise Mute",
        "raised Mute",
    ),
}
RUBBISH = {
    "text": ("def", "return 'yes'", "returned 'yes'"),
    "number": ("async def", "return 1", "returned 1"),
    "mixed": ("def", "return [ProbeResult(True), True]", "returned a list"),
    "coroutine": ("def", "return asyncio.sleep(0)", "Declare the hook itself with `async def`"),
    "no bool": ("def", "return ProbeResult(ok=1)", "ProbeResult.ok must be a bool, not 1"),
    "long": ("def", "return 'x' * 10_000_000", "returned 'xxx"),
    "unshowable": (
        "def",
        "class Shy:\n    def __repr__(self): raise ValueError\nreturn Shy()",
        "a probe must return a bool",
    ),
    "endless generator": (
        "def",
        "while True:\n    yield ProbeResult(True)",
        "raised TypeError: the hook yielded more than 10000 answers",
    ),
    "failing iterable": ("def", "return (1 / 0 for _ in 'x')", "division by zero"),
    "slow repr": (
        "def",
        "class Slow:\n    def __repr__(self): time.sleep(3600)\nreturn Slow()",
        "returned a Slow",
    ),
    "slow iterable": (
        "async def",
        "def several():\n    time.sleep(3600)\n    yield ProbeResult(True)\nreturn several()",
        "returned a generator",
    ),
    "endless iterable": ("def", "import itertools\nreturn itertools.count()", ""),
    "endless results": ("def", "import itertools\nreturn itertools.repeat(ProbeResult(True))", ""),
}
HANGS = {
    "async": ("async def", "await asyncio.sleep(3600)", "gave no answer for"),
    "thread": ("def", "time.sleep(3600)", "gave no answer for"),
    "stubborn": (
        "async def",
        "while True:\n    try:\n        await asyncio.sleep(3600)\n"
        "    except asyncio.CancelledError:\n        pass",
        "no answer for",
    ),
}
