"""
Ends what was started here when this process is gone without a word: by SIGKILL, by SIGHUP.

A process of its own reads a pipe to which all that is started here says what process group it
is, before it is anything else: there is no moment at which one runs and is not known. The
kernel closes the pipe however this process ends. PR_SET_PDEATHSIG would do it for children
alone, not for what they have started, and only on Linux.
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
"""Bytes from a file's start within which every binary format has a NUL byte, and no text has."""
_GIVEN_BACK: Final = frozenset({signal.SIGPIPE, signal.SIGXFSZ})
"""What Python ignores by itself, and gives back to its children."""


class Guard:
    """One such process; made by `start`."""

    def __init__(self, process: asyncio.subprocess.Process, pipe: int) -> None:
        self._process = process
        self._pipe = pipe

    @classmethod
    async def start(cls) -> Self:
        """Start it, out of reach of a terminal."""
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
        Start a process in a group of its own that ends with this one.

        Raises:
            OSError: It cannot be started.
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
        """Leave a process group alone: it is gone."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self._pipe, f"-{group}\n".encode())

    async def close(self) -> None:
        """End it, and what it still watches."""
        os.close(self._pipe)
        await self._process.wait()


def _as_in_a_container() -> Callable[[], None] | None:
    """
    Return what has the signals do in a new process what they do in a container; None: they do.

    What is ignored here (`nohup`, `&` in a script) would be ignored in all that is started.
    """
    ignored = [
        each
        for each in signal.valid_signals() - _GIVEN_BACK
        if signal.getsignal(each) is signal.SIG_IGN
    ]
    # Nothing else can reset them: a shell must not. It sets handlers, and touches nothing more.
    return partial(_reset, ignored) if ignored else None


def _reset(numbers: Sequence[int]) -> None:
    for each in numbers:
        signal.signal(each, signal.SIG_DFL)


def look_up(name: str, env: Mapping[str, str], cwd: str | None) -> None:
    """
    See that a command is there and may be run, as the kernel would say it.

    Raises:
        OSError: It is not there, must not be run, or is a text that names no interpreter.
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
    """Tell whether the kernel refuses a file that the shell of `ANNOUNCED` would interpret."""
    try:
        with open(path, "rb") as file:
            head = file.read(HEAD)
    except OSError:  # what may be run and not read is no script
        return False
    return not head.startswith(b"#!") and b"\0" not in head
