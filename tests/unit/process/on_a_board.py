"""A test of what the parent of workers reads on their board."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

from lifecycle.process.command.board_file import BoardFile
from lifecycle.process.command.workers import Workers

Nudges = list[None]


def with_workers(test: Callable[[Workers, BoardFile, Nudges], None]) -> None:
    """Run a test on a loop, and have it read what has arrived."""

    async def main() -> None:
        nudges: Nudges = []
        file = BoardFile()
        workers = Workers(file, lambda: nudges.append(None))
        try:
            test(workers, file, nudges)
            await asyncio.sleep(0)
        finally:
            workers.close()
        assert not os.path.exists(file.path)

    asyncio.run(main())
