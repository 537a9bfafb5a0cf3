"""The choice of the preStop hook."""

from __future__ import annotations

import errno
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from lifecycle.rehearsal.errors import CannotRehearse
from lifecycle.testing import Exec, HttpGet, Sleep
from lifecycle.testing.guard import look_up

Handler = Exec | HttpGet | Sleep


@dataclass(frozen=True)
class Hook:
    """
    A preStop hook.

    Attributes:
        name: Its name, for people.
        handler: The action of the kubelet, or None for nothing.
        token: The token that the app must accept, as `LIFECYCLE_PRESTOP_TOKEN`.
    """

    name: str
    handler: Handler | None = None
    token: str = ""


def choose(wanted: str | None, *, qos: bool, grace: float, token: str) -> Hook:
    """
    Choose the preStop hook.

    Args:
        wanted: `none`, `exec`, `http`, `sleep:SECONDS`, a command, or None for the default.
        qos: Whether the app answers on the QOS port.
        grace: The longest possible sleep, in seconds.
        token: The token that `http` sends.

    Raises:
        CannotRehearse: There is no such hook, or the app cannot answer it.
    """
    if wanted is None:
        hook = choose("exec" if qos else "none", qos=qos, grace=grace, token=token)
        why = "the app answers on the QOS port" if qos else "nothing listens on LIFECYCLE_QOS_PORT"
        return Hook(f"{hook.name} ({why})", hook.handler)
    kind, _, argument = wanted.partition(":")
    if kind in ("exec", "http") and not argument and not qos:
        raise CannotRehearse(
            f"--prestop {kind}: nothing listens on LIFECYCLE_QOS_PORT, so the app does not run "
            "with pod-lifecycle. Use --prestop none, sleep:SECONDS or a command",
            see="errors.md#prestop-option",
        )
    match kind, argument:
        case "none", "":
            return Hook("none")
        case "exec", "":
            command = [sys.executable, "-m", "lifecycle", "prestop"]
            return Hook("lifecycle prestop", Exec(command))
        case "http", "":
            headers = [("X-Lifecycle-Token", token)]
            return Hook("GET /prestop", HttpGet("qos", "/prestop", headers=headers), token)
        case "sleep", _:
            return Hook(f"sleep {argument}", Sleep(_seconds(argument, grace)))
    try:
        words = shlex.split(wanted)
    except ValueError as error:
        raise CannotRehearse(
            f"--prestop {wanted}: {str(error).lower()}", see="errors.md#prestop-option"
        ) from None
    if not words:
        raise CannotRehearse("--prestop: must not be empty", see="errors.md#prestop-option")
    return Hook(wanted, Exec(words))


def check_program(hook: Hook, env: Mapping[str, str], cwd: str | None) -> None:
    """
    Check that the program of a hook exists.

    Args:
        hook: The hook.
        env: The environment of the container.
        cwd: The working directory of the container.

    Raises:
        CannotRehearse: The program does not exist, or cannot be run.
    """
    if not isinstance(hook.handler, Exec):
        return
    try:
        look_up(hook.handler.command[0], env, cwd)
    except OSError as error:
        change = "Use a program on the PATH, or give its path"
        if error.errno == errno.ENOEXEC:
            change = "Start the file with a line that names its interpreter, for example #!/bin/sh"
        raise CannotRehearse(
            f"--prestop {hook.name}: cannot run {hook.handler.command[0]} in the container: "
            f"{str(error.strerror).lower()}. {change}",
            see="errors.md#prestop-option",
        ) from None


def _seconds(text: str, grace: float) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= grace:
        raise CannotRehearse(
            f"--prestop sleep:{text}: must be a number of seconds, at most --grace ({grace:g})",
            see="errors.md#prestop-option",
        )
    return seconds
