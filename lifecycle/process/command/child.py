"""The command itself: started, signalled, and its end noticed."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Final, NamedTuple

from lifecycle.process.signals import by_person

LAUNCHER: Final = os.path.join(os.path.dirname(__file__), "launcher.py")
IS_HELD: Final = hasattr(os, "waitid")
"""Whether a child's end can be seen without reaping it: not on macOS before Python 3.13."""


class Command(NamedTuple):
    """
    What is run.

    Attributes:
        words: The program and its arguments, as they were given.
        program: Where the program is.
        stop_signal: By which it is told to end.
        instrumented: Whether its Python processes are to tell what they serve.
    """

    words: tuple[str, ...]
    program: str
    stop_signal: signal.Signals = signal.SIGTERM
    instrumented: bool = True

    @property
    def name(self) -> str:
        """What people call it: `gunicorn`, also if it was started as `python -m gunicorn`."""
        name = os.path.basename(self.words[0])
        is_module = name.startswith("python") and self.words[1:2] == ("-m",)
        return self.words[2] if is_module and len(self.words) > 2 else name


def shares_group() -> bool:
    """
    Tell whether the command is to be in our process group: at a terminal, whose keys it is to have.

    In a group of its own it would be stopped when it reads. Without a terminal it has its own, so
    that what signals a group (dumb-init, `timeout`) does not reach it.
    """
    try:
        return os.isatty(0) and (by_person() or os.getpid() == 1)
    except OSError:
        return False


def hand_over_terminal(pid: int) -> None:
    """
    Give the terminal, if we have it, to a command that was stopped because it has not.

    A pod may have one (`tty: true`), and nobody at it: so the command is in a group of its own,
    and Ctrl-C drains it. Once it reads (a debugger, `input()`), it has the keys.
    """
    with suppress(OSError):
        group = os.getpgid(pid)
        if group != os.getpgrp() and os.tcgetpgrp(0) == os.getpgrp():
            os.tcsetpgrp(0, group)
            os.killpg(group, signal.SIGCONT)


def look_at_child(pid: int) -> tuple[int | None, int]:
    """
    Return what has become of a child, which is not reaped if it has ended.

    Returns:
        Its exit code, or minus the signal that it died of, or None while it runs; and the signal
        that has just stopped it, or 0.

    Raises:
        ChildProcessError: There is no such child.
    """
    if not IS_HELD:
        ended, status = os.waitpid(pid, os.WNOHANG | os.WUNTRACED)
        if ended and os.WIFSTOPPED(status):
            return None, os.WSTOPSIG(status)
        return (os.waitstatus_to_exitcode(status) if ended else None), 0
    found = os.waitid(os.P_PID, pid, os.WEXITED | os.WSTOPPED | os.WNOHANG | os.WNOWAIT)
    if found is None:
        return None, 0
    if found.si_code == os.CLD_EXITED:
        return found.si_status, 0
    if found.si_code in (os.CLD_KILLED, os.CLD_DUMPED):
        return -found.si_status, 0
    with suppress(ChildProcessError):  # it may have ended meanwhile, of which SIGCHLD tells
        os.waitid(os.P_PID, pid, os.WSTOPPED | os.WNOHANG)  # or it would be told again
    return None, found.si_status


class Child:
    """
    The direct child. Made on the main thread, which must outlive it; used on the app's loop.

    It is reaped last: until then its pid, which may be its group's too, is nobody else's.

    Args:
        command: What it runs.
        environment: Its variables.
        own_group: False if it shares our process group.

    Raises:
        OSError: It cannot be started: there are too many processes.

    Attributes:
        pid: Its process id.
        code: Its exit code once it has ended, or minus the signal that it died of.
        ended: Set once it has.
        lost: True if somebody else has reaped it.
        sent: The signal by which it was told to end; None: nobody has told it.
    """

    def __init__(
        self, command: Command, environment: Mapping[str, str], *, own_group: bool
    ) -> None:
        launch = (sys.executable, "-I", "-S", LAUNCHER, str(os.getpid()), command.program)
        self._process = subprocess.Popen(  # noqa: S603 - what the user has asked for
            (*launch, *command.words),
            env=environment,
            close_fds=False,  # ours are closed at exec; what was handed to us is for the command
            process_group=0 if own_group else None,
        )
        self.pid = self._process.pid
        self.code: int | None = None
        self.ended = asyncio.Event()
        self.lost = False
        self.sent: signal.Signals | None = None

    def look(self) -> None:
        """Take note of its end, if it has come; or let it read from the terminal, if it wants to."""
        if self.code is not None:
            return
        try:
            code, stopped_by = look_at_child(self.pid)
        except ChildProcessError:  # somebody has waited for any child, and has its exit code
            code, stopped_by, self.lost = 1, 0, True
        if code is not None:
            self.code = self._process.returncode = code
            self.ended.set()
        elif stopped_by in (signal.SIGTTIN, signal.SIGTTOU):
            hand_over_terminal(self.pid)

    def reap(self) -> None:
        """Give its pid away, if it has ended: nobody uses it any more."""
        if IS_HELD and self.code is not None and not self.lost:
            with suppress(ChildProcessError):
                os.waitpid(self.pid, os.WNOHANG)

    def succeed(self, pid: int) -> None:
        """Take another child of this process for it, in whose favour it has ended."""
        self.reap()
        self.pid, self.code, self.lost = pid, None, False
        self.ended.clear()

    def send(self, number: int) -> None:
        """Send a signal to it alone, if it has not ended."""
        if self.code is None:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(self.pid, number)

    def pass_on(self, number: int) -> None:
        """Send a signal that was meant for it; none any more once it was told to end."""
        if self.sent is None:
            self.send(number)

    def stop(self, number: signal.Signals) -> None:
        """Tell it to end: once."""
        if self.sent is None:
            self.sent = number
            self.send(number)
