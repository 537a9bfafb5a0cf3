"""An app with work that never ends. With EXPORTING it exports a service, so many seconds before READY."""

from __future__ import annotations

import asyncio
import os

import lifecycle


async def main(life: lifecycle.Lifecycle) -> None:
    await asyncio.sleep(3)  # an app that starts faster is never reported as `starting`
    if seconds := os.environ.get("EXPORTING"):
        await asyncio.start_server(lambda _, writer: writer.close(), "0.0.0.0", 8080)
        life.export("orders", port=8080)
        await asyncio.sleep(float(seconds))
    await life.ready()
    with life.track(name="import 7"):
        await asyncio.Event().wait()
