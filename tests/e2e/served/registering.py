"""An app that registers at once, or in a later container when it is told `go`; `die` ends it."""

from __future__ import annotations

import asyncio
import os

import lifecycle

MARK = "/state/has-run"


async def main(life: lifecycle.Lifecycle) -> None:
    told = asyncio.Event()

    async def obey(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        word = await reader.readline()
        if word == b"die\n":
            os._exit(9)  # as by SIGKILL: nothing is deregistered
        if word == b"go\n":
            told.set()
        writer.close()

    server = await asyncio.start_server(obey, "0.0.0.0", 8080)
    if os.path.exists(MARK) or "WAIT" in os.environ:
        await told.wait()
    with open(MARK, "w"):
        pass
    life.export("orders", port=8080)
    await life.ready()
    await life.drained()
    server.close()
