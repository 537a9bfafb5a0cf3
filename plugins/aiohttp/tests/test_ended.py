"""An app that ends before the lifecycle does."""

from __future__ import annotations

import asyncio

import lifecycle_aiohttp
from aiohttp import web


def served_apps(life):
    """Return the plugins of the apps that take part."""
    return [each["name"] for each in life.snapshot()["plugins"] if "aiohttp-" in each["name"]]


def test_an_app_that_has_ended_takes_part_no_more(serve):
    """Its plugin is gone with it, and the drain is that of the apps that are left."""

    async def main():
        async with serve(web.Application()) as served:
            first = served_apps(served.life)
            assert len(first) == 1
            second = web.Application()
            lifecycle_aiohttp.setup(second)
            runner = web.AppRunner(second, handle_signals=False)
            await runner.setup()
            assert len(served_apps(served.life)) == 2
            await runner.cleanup()
            assert served_apps(served.life) == first
            served.life.begin_drain("the test")
            assert await served.life.drained() > 0
        assert served.life.snapshot()["state"] == "stopped"

    asyncio.run(main())
