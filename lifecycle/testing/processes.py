"""
The process of a container, and the commands that are executed in the container.

Rules of this file:

1. Every process has its own session. It gets no Ctrl-C, and its whole group can be killed.
2. When the container's process ends, all other processes of the container are killed. The kernel
   does the same when the first process of a PID namespace ends.
3. No process that was started here is left running or unreaped. If this process itself is killed,
   its guard ends all of them. Only a process that has left its group with setsid is out of reach.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import tempfile
from collections.abc import Mapping, Sequence
from typing import Final, Self

from lifecycle.testing.guard import Guard

OUTPUT_LIMIT: Final = 10 * 1024
"""How many bytes of a command's output the kubelet reads."""
SIGTERM_BIT: Final = 1 << (signal.SIGTERM - 1)


class NoExec(Exception):
    """A command could not be executed in the container."""


class TimedOut(Exception):
    """A command did not end in time. It was killed."""


class Process:
    """
    The process of a container. Made by `start`.

    Attributes:
        pid: The process id.
        started_at: When it was started, on the monotonic clock.
        exited_at: When it exited, on the same clock, or None while it runs.
        exit_code: The exit code as of a container, 128 + the signal that killed it, or None while
            it runs.
        ended: Set when it has ended.
    """

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        env: Mapping[str, str],
        cwd: str | None,
        guard: Guard,
    ) -> None:
        self.pid = process.pid
        self.started_at = asyncio.get_running_loop().time()
        self.exited_at: float | None = None
        self.exit_code: int | None = None
        self.ended = asyncio.Event()
        self._env = env
        self._cwd = cwd
        self._guard = guard
        self._beside: set[asyncio.subprocess.Process] = set()
        self._reaping = asyncio.create_task(self._reap(process))

    @classmethod
    async def start(
        cls,
        command: Sequence[str],
        env: Mapping[str, str],
        cwd: str | None,
        log: str,
        guard: Guard,
    ) -> Self:
        """
        Start a process. Its output is appended to a file, and the guard ends it with this process.

        Raises:
            OSError: The process cannot be started.
        """
        with open(log, "ab", buffering=0) as output:  # noqa: ASYNC230 - a local file
            process = await guard.spawn(command, env, cwd, output.fileno())
        return cls(process, env, cwd, guard)

    def terminate(self, *, pid_1: bool) -> None:
        """Send SIGTERM, but not to a `pid_1` without a handler, for which the kernel drops it."""
        if self.exit_code is None and not (pid_1 and not catches_sigterm(self.pid)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL to all processes of the container."""
        if self.exit_code is None:
            kill_group(self.pid)
        for process in self._beside:
            kill_group(process.pid)

    async def execute(
        self, command: Sequence[str], timeout: float | None = None
    ) -> tuple[int, str]:
        """
        Run a command in the container. Returns its exit code, and the first 10 KiB of its output.

        Raises:
            NoExec: The command cannot be started, or the container has ended.
            TimedOut: The command did not end in time.
        """
        if self.exit_code is not None:
            raise NoExec("failed to exec in container: failed to load task: no running task found")
        with tempfile.TemporaryFile() as output:
            process = await self._beside_it(command, output.fileno())
            try:
                async with asyncio.timeout(timeout):
                    code = await process.wait()
            except TimeoutError:
                words = " ".join(command)
                raise TimedOut(
                    f'command timed out: "{words}" timed out after {timeout:g}s'
                ) from None
            finally:
                self._beside.discard(process)
                kill_group(process.pid)
                if process.returncode is None:
                    await _reaped(process)
                self._guard.forget(process.pid)
            output.seek(0)
            return _container_code(code), output.read(OUTPUT_LIMIT).decode(errors="replace")

    async def _beside_it(self, command: Sequence[str], out: int) -> asyncio.subprocess.Process:
        try:
            process = await self._guard.spawn(command, self._env, self._cwd, out)
        except OSError as error:
            raise NoExec(
                f'failed to exec in container: exec: "{command[0]}": {_why(error)}'
            ) from None
        self._beside.add(process)
        if self.exit_code is not None:
            kill_group(process.pid)
        return process

    async def _reap(self, process: asyncio.subprocess.Process) -> None:
        code = await process.wait()
        self.exit_code = _container_code(code)
        self.exited_at = asyncio.get_running_loop().time()
        kill_group(self.pid)
        self._guard.forget(self.pid)
        self.kill()
        self.ended.set()

    async def close(self) -> None:
        """Kill the process if it runs, and wait until it is gone."""
        self.kill()
        await self._reaping


def catches_sigterm(pid: int) -> bool:
    """Return whether a process has a handler for SIGTERM, or True if that is not known."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii") as status:
            for line in status:
                if line.startswith("SigCgt:"):
                    return bool(int(line.split()[1], 16) & SIGTERM_BIT)
    except OSError:
        pass
    return True


def kill_group(pid: int) -> None:
    """Send SIGKILL to a process group, if any process of it is left."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


async def _reaped(process: asyncio.subprocess.Process) -> None:
    """Wait for a killed process, even if the waiting task is cancelled."""
    waiting = asyncio.ensure_future(process.wait())
    while not waiting.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.shield(waiting)


def _container_code(code: int) -> int:
    return 128 - code if code < 0 else code


def _why(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "executable file not found in $PATH"
    return str(error.strerror or error).lower()
