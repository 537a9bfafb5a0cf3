"""An app whose MODE says how well it does in a rollout."""

from __future__ import annotations

import asyncio
import os
import sys

import lifecycle

MODE = os.environ["MODE"]


async def main(life: lifecycle.Lifecycle) -> None:
    if MODE == "crash":
        sys.exit(3)
    if MODE == "never":
        await life.drained()
        return
    server = await asyncio.start_server(lambda _, writer: writer.close(), "0.0.0.0", 8080)
    life.export("shop", port=8080)
    await life.ready()
    if MODE == "busy":  # with work that does not end
        with life.track("GET /export"):
            await asyncio.sleep(3600)
    await life.drained()
    server.close()
