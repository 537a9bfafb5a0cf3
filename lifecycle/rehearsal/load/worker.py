"""
A process of the load generator: `python -m lifecycle.rehearsal.load.worker`.

The process reads JSON lines: the traffic first, then pods as they change, `begin` and `end`. Ten
times per second, it writes a tally of what has happened since the last one. It ends with its stdin.
If a client fails, it ends without a last tally, so that no request is counted wrongly.
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

from lifecycle.rehearsal.load.load import Load
from lifecycle.rehearsal.measuring.stalls import Pulse, Stall
from lifecycle.rehearsal.measuring.tally import BUCKET, Tally
from lifecycle.rehearsal.plan import Traffic

LINE = 1 << 20


async def work() -> None:
    """Execute the commands that arrive as lines."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=LINE)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    load = Load(Traffic.from_json(json.loads(await reader.readline())))

    def note(stall: Stall) -> None:
        load.tally.stalls.append(stall)  # of the tally that is counted in then

    pulse = Pulse(note)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_tell(load)), group.create_task(pulse.beat())]
        while line := await reader.readline():
            message: dict[str, Any] = json.loads(line)
            match message.pop("do"):
                case "pod":
                    load.tell(**message)
                case "begin":
                    load.begin()
                case "end":
                    tasks.append(group.create_task(_end(load, pulse)))
        for task in tasks:
            task.cancel()


async def _tell(load: Load) -> None:
    while True:
        await asyncio.sleep(BUCKET)
        load.check()
        load.count_known()
        _say(load)


async def _end(load: Load, pulse: Pulse) -> None:
    await load.end()
    pulse.look()
    _say(load, over=True)


def _say(load: Load, *, over: bool = False) -> None:
    fields = load.tally.to_json()
    vars(load.tally).update(vars(Tally()))  # the clients hold on to this one
    sys.stdout.write(json.dumps(fields | {"over": over}) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Run the process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with contextlib.suppress(ValueError, OSError):
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    gc.freeze()
    try:
        asyncio.run(work())
    except* BrokenPipeError:  # the rehearsal has ended
        pass


if __name__ == "__main__":
    main()
