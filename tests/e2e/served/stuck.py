"""An app whose loop is kept busy in CHUNKs of seconds, for BUSY seconds, in its first container."""

from __future__ import annotations

import asyncio
import json
import os
import time
from datetime import UTC, datetime

import lifecycle

MARK = "/state/has-run"


def say(event: str) -> None:
    print(json.dumps({"event": event, "timestamp": datetime.now(UTC).isoformat()}), flush=True)


async def main(life: lifecycle.Lifecycle) -> None:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "0.0.0.0", 8080)
    life.export("stuck", port=8080)
    await life.ready()
    if not os.path.exists(MARK):
        with open(MARK, "w"):
            pass
        say("busy")
        end = time.monotonic() + float(os.environ["BUSY"])
        while time.monotonic() < end:
            time.sleep(float(os.environ["CHUNK"]))
            await asyncio.sleep(0)
        say("idle")
    await life.drained()
    server.close()
