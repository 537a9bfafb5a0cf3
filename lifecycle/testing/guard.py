"""
The guard, which ends the started processes if this process is killed (SIGKILL, SIGHUP).

The guard is a separate process that reads a pipe. Each started process writes its process group to
the pipe before it runs anything else, so the guard knows every running process. The kernel closes
the pipe however this process ends. PR_SET_PDEATHSIG would work only on Linux, and only for direct
children.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import shutil
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final, Self

from lifecycle.testing.environment import handed_on

REAPER: Final = str(Path(__file__).with_name("reaper.py"))
ANNOUNCED: Final = ("/bin/sh", "-c", 'echo "+$$"; exec "$@" >&2', "sh")
HEAD: Final = 128
"""Bytes to read of a file: in these, every binary format has a NUL byte, and text has none."""
_GIVEN_BACK: Final = frozenset({signal.SIGPIPE, signal.SIGXFSZ})
"""Signals that Python itself ignores, and resets in its children."""


class Guard:
    """The guard process. Made by `start`."""

    def __init__(self, process: asyncio.subprocess.Process, pipe: int) -> None:
        self._process = process
        self._pipe = pipe

    @classmethod
    async def start(cls) -> Self:
        """Start the guard, so that a terminal cannot signal it."""
        reading, writing = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", REAPER),
                env=handed_on(),
                stdin=reading,
                start_new_session=True,
            )
        except BaseException:
            os.close(writing)
            raise
        finally:
            os.close(reading)
        return cls(process, writing)

    async def spawn(
        self, command: Sequence[str], env: Mapping[str, str], cwd: str | None, output: int
    ) -> asyncio.subprocess.Process:
        """
        Start a process in its own group, which the guard ends together with this process.

        Raises:
            OSError: The process cannot be started.
        """
        look_up(command[0], env, cwd)
        return await asyncio.create_subprocess_exec(
            *ANNOUNCED,
            *command,
            env=env,
            cwd=cwd,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=self._pipe,
            stderr=output,
            start_new_session=True,
            preexec_fn=_as_in_a_container(),
        )

    def forget(self, group: int) -> None:
        """Stop watching a process group that is gone."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self._pipe, f"-{group}\n".encode())

    async def close(self) -> None:
        """End the guard, and the processes that it still watches."""
        os.close(self._pipe)
        await self._process.wait()


def _as_in_a_container() -> Callable[[], None] | None:
    """
    Return a function that resets signals in a new process, as in a container, or None if not
    needed.

    Signals that are ignored here (`nohup`, `&` in a script) would be ignored in every started
    process.
    """
    ignored = [
        each
        for each in signal.valid_signals() - _GIVEN_BACK
        if signal.getsignal(each) is signal.SIG_IGN
    ]
    # Nothing else can reset them, and a shell must not. It only sets handlers.
    return partial(_reset, ignored) if ignored else None


def _reset(numbers: Sequence[int]) -> None:
    for each in numbers:
        signal.signal(each, signal.SIG_DFL)


def look_up(name: str, env: Mapping[str, str], cwd: str | None) -> None:
    """
    Check that a command exists and can be run, with the errors of the kernel.

    Raises:
        OSError: The command does not exist, cannot be run, or is a text without an interpreter
            line.
    """
    is_path = os.path.dirname(name) != ""
    where = os.path.join(cwd or "", name) if is_path else name
    found = shutil.which(where, path=env.get("PATH", os.defpath))
    if found is None:
        code = errno.EACCES if is_path and os.path.exists(where) else errno.ENOENT
        raise OSError(code, os.strerror(code), name)
    if _names_no_interpreter(found):
        raise OSError(errno.ENOEXEC, os.strerror(errno.ENOEXEC), name)


def _names_no_interpreter(path: str) -> bool:
    """Return whether the kernel refuses a file that the shell of `ANNOUNCED` would interpret."""
    try:
        with open(path, "rb") as file:
            head = file.read(HEAD)
    except OSError:  # a file that can be run but not read is not a script
        return False
    return not head.startswith(b"#!") and b"\0" not in head
