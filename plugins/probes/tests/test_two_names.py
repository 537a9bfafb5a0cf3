"""One class under two names: each reads its own variables."""

from __future__ import annotations

import asyncio
import contextlib
import json

import pytest
from lifecycle_probes.disk import DiskProbe
from lifecycle_probes.http import HttpProbe
from lifecycle_probes.memory import MemoryProbe
from lifecycle_probes.tcp import TcpProbe

import lifecycle

CASES = {
    "tcp": (TcpProbe, "TARGETS", "a=127.0.0.1:9", "b=127.0.0.1:9", ["a"], ["b"]),
    "http": (HttpProbe, "URLS", "a=http://127.0.0.1:9/", "b=http://127.0.0.1:9/", ["a"], ["b"]),
    "disk": (DiskProbe, "PATHS", "/tmp", "/", ["/tmp"], ["/"]),
    "memory": (MemoryProbe, "MAX_PERCENT", "1", "100", [""], [""]),
}


@pytest.mark.parametrize("kind", CASES)
def test_two_of_one_class_read_their_own_options(kind, lifecycle_env, get):
    """Both are asked, whichever was loaded last, and each answers for what it was told."""
    cls, field, first, second, *names = CASES[kind]
    lifecycle_env.setenv(f"LIFECYCLE_FIRST_ONE_{field}", first)
    lifecycle_env.setenv(f"LIFECYCLE_SECOND_{field}", second)

    async def answers():
        async with lifecycle.Lifecycle() as life:
            life.use(cls(), name="first-one")
            life.use(cls(), name="second")
            await life.ready()
            bodies = [
                await asyncio.to_thread(
                    get, f"{life.qos_url}/ready/{name}", Accept="application/json"
                )
                for name in ("first-one", "second")
            ]
            return [[answer["name"] for answer in json.loads(body)["probes"]] for body in bodies]

    wanted = [
        [f"{plugin}.{name}" if name else plugin for name in each]
        for plugin, each in zip(("first-one", "second"), names, strict=True)
    ]
    assert asyncio.run(answers()) == wanted


def test_the_second_is_off_without_variables_of_its_own(lifecycle_env):
    """What one is told is not told to the other."""
    lifecycle_env.setenv("LIFECYCLE_FIRST_TARGETS", "127.0.0.1:9")

    async def hooks():
        async with lifecycle.Lifecycle() as life:
            life.use(TcpProbe(), name="first")
            life.use(TcpProbe(), name="second")
            with contextlib.suppress(lifecycle.Draining):
                await life.ready()
            return [plugin["name"] for plugin in life.snapshot()["plugins"]]

    names = asyncio.run(hooks())
    assert "first" in names
    assert "second" not in names
