"""The process of the command: starting it, sending it signals, and noticing its end."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Final, NamedTuple

from lifecycle.links import help_page
from lifecycle.process.signals import by_person

LAUNCHER: Final = os.path.join(os.path.dirname(__file__), "launcher.py")
IS_HELD: Final = hasattr(os, "waitid")
"""Whether the end of a child can be seen without reaping it. Not on macOS before Python 3.13."""


class Command(NamedTuple):
    """
    The command to run.

    Attributes:
        words: The program and its arguments, as given.
        program: The path of the program.
        stop_signal: The signal that asks the command to end.
        instrumented: Whether to load the instrumentation in its Python processes.
    """

    words: tuple[str, ...]
    program: str
    stop_signal: signal.Signals = signal.SIGTERM
    instrumented: bool = True

    @property
    def name(self) -> str:
        """The short name of the command: `gunicorn`, also for `python -m gunicorn`."""
        name = os.path.basename(self.words[0])
        is_module = name.startswith("python") and self.words[1:2] == ("-m",)
        return self.words[2] if is_module and len(self.words) > 2 else name


def shares_group() -> bool:
    """
    Return whether the command shares our process group, so that the terminal's keys reach it.

    At a terminal it shares the group, because in its own group it would be stopped when it reads.
    Without a terminal it gets its own group, so that programs which signal a whole group
    (dumb-init, `timeout`) do not reach it.
    """
    try:
        return os.isatty(0) and (by_person() or os.getpid() == 1)
    except OSError:
        return False


def hand_over_terminal(pid: int) -> None:
    """
    Give the terminal to a command that was stopped because it tried to read without having it.

    A pod may have a terminal (`tty: true`) that no person uses. The command is then in its own
    group, and Ctrl-C starts the drain. Once the command reads (a debugger, `input()`), it gets the
    keys.
    """
    with suppress(OSError):
        group = os.getpgid(pid)
        if group != os.getpgrp() and os.tcgetpgrp(0) == os.getpgrp():
            os.tcsetpgrp(0, group)
            os.killpg(group, signal.SIGCONT)


def look_at_child(pid: int) -> tuple[int | None, int]:
    """
    Return the state of a child. If the child has ended, it is not reaped.

    Returns:
        Two values. The first is its exit code, or minus the number of the signal that killed it, or
        None while it runs. The second is the signal that has just stopped it, or 0.

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
    with suppress(ChildProcessError):  # it may have ended meanwhile, which SIGCHLD reports
        os.waitid(os.P_PID, pid, os.WSTOPPED | os.WNOHANG)  # so that it is not reported again
    return None, found.si_status


class Child:
    """
    The process of the command, a direct child of this process.

    Make it on the main thread, which must outlive it. Use it on the app's loop. It is reaped last.
    Until then no other process can get its pid, which may also be the id of its group.

    Args:
        command: The command to run.
        environment: The environment variables of the child.
        own_group: Whether the child gets its own process group.

    Raises:
        OSError: The child cannot be started, because there are too many processes.

    Attributes:
        pid: The process id.
        code: The exit code, or minus the number of the signal that killed it, or None while it
            runs.
        ended: Set once it has ended.
        lost: True if other code in this process has reaped it.
        sent: The signal that asked it to end, or None if none was sent.
    """

    def __init__(
        self, command: Command, environment: Mapping[str, str], *, own_group: bool
    ) -> None:
        page = help_page("errors.md#command-cannot-start")
        launch = (sys.executable, "-I", "-S", LAUNCHER, str(os.getpid()), page, command.program)
        self._process = subprocess.Popen(  # noqa: S603 - what the user has asked for
            (*launch, *command.words),
            env=environment,
            close_fds=False,  # ours close at exec, and inherited ones are for the command
            process_group=0 if own_group else None,
        )
        self.pid = self._process.pid
        self.code: int | None = None
        self.ended = asyncio.Event()
        self.lost = False
        self.sent: signal.Signals | None = None

    def look(self) -> None:
        """Check whether the child has ended, or wants to read from the terminal."""
        if self.code is not None:
            return
        try:
            code, stopped_by = look_at_child(self.pid)
        except ChildProcessError:  # other code has reaped it, and has its exit code
            code, stopped_by, self.lost = 1, 0, True
        if code is not None:
            self.code = self._process.returncode = code
            self.ended.set()
        elif stopped_by in (signal.SIGTTIN, signal.SIGTTOU):
            hand_over_terminal(self.pid)

    def reap(self) -> None:
        """Reap the child if it has ended. Its pid must not be used after this."""
        if IS_HELD and self.code is not None and not self.lost:
            with suppress(ChildProcessError):
                os.waitpid(self.pid, os.WNOHANG)

    def succeed(self, pid: int) -> None:
        """Continue with another child of this process, its successor."""
        self.reap()
        self.pid, self.code, self.lost = pid, None, False
        self.ended.clear()

    def send(self, number: int) -> None:
        """Send a signal to the child alone, if it has not ended."""
        if self.code is None:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(self.pid, number)

    def pass_on(self, number: int) -> None:
        """Pass a signal on to the child, unless the child was already asked to end."""
        if self.sent is None:
            self.send(number)

    def stop(self, number: signal.Signals) -> None:
        """Ask the child to end. Only the first call sends a signal."""
        if self.sent is None:
            self.sent = number
            self.send(number)
