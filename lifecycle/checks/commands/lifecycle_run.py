"""`lifecycle run … -- COMMAND` in a manifest: its options and its command."""

from __future__ import annotations

import os.path
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from lifecycle.checks.commands.programs import command_after, stages
from lifecycle.checks.commands.servers import read_options
from lifecycle.checks.node import digits

_PYTHON: Final = re.compile(r"python[\d.]*")
_SWITCHES: Final = re.compile(r"-(?!-)[A-Za-z]*?([IES])[A-Za-z]*")
_PYTHON_TAKES: Final = ("-W", "-X")
_OWN_PATH: Final = re.compile(r"(?:^|[\s;'\"])PYTHONPATH=(?![^\s;]*\$\{?PYTHONPATH)")
_OFF: Final = ("no", "false", "0", "off")


@dataclass(frozen=True)
class LifecycleRun:
    """
    A `lifecycle run` in a command.

    Attributes:
        options: The words after `run`, up to `--`.
        command: The words after `--`. Empty for `lifecycle run MODULE:NAME`.
    """

    options: Sequence[str]
    command: Sequence[str] = ()

    @property
    def services(self) -> list[tuple[str, int | None]]:
        """Names and ports of the app services. A missing port is None."""
        said = [value for name, value in read_options(self.options) if name == "--service"]
        parts = [each.rpartition(":") if ":" in each else (each, "", "") for each in said]
        return [(name, digits(port)) for name, _, port in parts]

    @property
    def without_instrumentation(self) -> bool:
        """Whether `--instrument` turns the instrumentation off."""
        given = dict(read_options(self.options))
        return given.get("--instrument", "").lower() in _OFF

    @property
    def loses_instrumentation(self) -> str:
        """Why the workers do not load the instrumentation. Empty if they do."""
        found = next((why for each in stages(self.command) if (why := _drops(each))), "")
        if not found and any(map(_OWN_PATH.search, self.command)):
            return "PYTHONPATH= removes the folder of the instrumentation"
        return found


def lifecycle_run(words: Sequence[str]) -> LifecycleRun | None:
    """Return the `lifecycle run` in a command. None if there is none."""
    for each in stages(words):
        if each[:2] == ["lifecycle", "run"]:
            command = command_after(each)
            if command is None:
                return LifecycleRun(each[2:])
            return LifecycleRun(each[2 : len(each) - len(command) - 1], command)
    return None


def _drops(words: Sequence[str]) -> str:
    """Return how a program removes our variables for the next program. Empty if it does not."""
    name = os.path.basename(words[0])
    if _PYTHON.fullmatch(name):
        switch = next((x for x in _python_options(words) if _SWITCHES.fullmatch(x)), "")
        return f"{name} {switch} does not read PYTHONPATH" if switch else ""
    options = [*_leading(words)]
    if name == "env" and {"-", "-i", "--ignore-environment"} & {*options}:
        return "env -i removes all variables"
    if name in ("su", "runuser") and {"-", "-l", "--login"} & {*words[1:]}:
        return f"{name} with a login shell removes the variables"
    kept = any(each.startswith(("-E", "--preserve-env")) for each in options)
    return "sudo removes the variables" if name == "sudo" and not kept else ""


def _python_options(words: Sequence[str]) -> Iterator[str]:
    """Give the options of Python itself, up to -m, -c or the script."""
    taken = False
    for word in words[1:]:
        if taken:
            taken = False
            continue
        if not word.startswith("-") or word in ("-m", "-c", "-"):
            return
        taken = word in _PYTHON_TAKES
        yield word


def _leading(words: Sequence[str]) -> Iterator[str]:
    for word in words[1:]:
        if not word.startswith("-"):
            return
        yield word
