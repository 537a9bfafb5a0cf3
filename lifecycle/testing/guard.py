"""
Ends what was started here when this process is gone without a word: by SIGKILL, by SIGHUP.

A process of its own holds the other end of a pipe, and is told of each process group. The
kernel closes the pipe however this process ends. PR_SET_PDEATHSIG would do it for children
alone, not for what they have started, and only on Linux.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from pathlib import Path
from typing import Final, Self

LAST_WILL: Final = str(Path(__file__).with_name("last_will.py"))


class Guard:
    """One such process; made by `start`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls) -> Self:
        """Start it, out of reach of a terminal."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", LAST_WILL),
            stdin=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        return cls(process)

    def watch(self, group: int) -> None:
        """End a process group with this process."""
        self._say(f"+{group}\n")

    def forget(self, group: int) -> None:
        """Leave it alone: it is gone."""
        self._say(f"-{group}\n")

    def _say(self, line: str) -> None:
        if self._process.stdin is not None and not self._process.stdin.is_closing():
            self._process.stdin.write(line.encode())

    async def close(self) -> None:
        """End it, and what it still watches."""
        if self._process.stdin is not None:
            self._process.stdin.close()
            with contextlib.suppress(OSError):
                await self._process.stdin.wait_closed()
        await self._process.wait()
