"""
A process of the load generator: `python -m lifecycle.rehearsal.worker`.

It reads JSON lines (traffic first; then pods as they change, `begin`, `end`) and writes a
tally of what has happened since the last one, ten times a second. It ends with its stdin.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import resource
import signal
import sys
from typing import Any

from lifecycle.rehearsal.load import Load
from lifecycle.rehearsal.plan import Traffic
from lifecycle.rehearsal.tally import BUCKET, Tally

LINE = 1 << 20


async def work() -> None:
    """Do as the lines say."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=LINE)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    load = Load(Traffic.from_json(json.loads(await reader.readline())))
    telling = asyncio.create_task(_tell(load))
    ending: asyncio.Task[None] | None = None
    while line := await reader.readline():
        message: dict[str, Any] = json.loads(line)
        match message.pop("do"):
            case "pod":
                load.tell(**message)
            case "begin":
                load.begin()
            case "end":
                ending = asyncio.create_task(load.end())
                ending.add_done_callback(lambda _: _say(load, over=True))
    for task in filter(None, (telling, ending)):
        task.cancel()


async def _tell(load: Load) -> None:
    while True:
        await asyncio.sleep(BUCKET)
        load.count_known()
        _say(load)


def _say(load: Load, *, over: bool = False) -> None:
    fields = load.tally.to_json()
    vars(load.tally).update(vars(Tally()))  # the clients hold on to this one
    sys.stdout.write(json.dumps(fields | {"over": over}) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Run it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(ValueError, OSError):
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    gc.freeze()
    with contextlib.suppress(BrokenPipeError):
        asyncio.run(work())


if __name__ == "__main__":
    main()
