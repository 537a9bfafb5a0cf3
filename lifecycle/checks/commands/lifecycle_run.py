"""`lifecycle run … -- COMMAND`: the parent's own options, and what it starts."""

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
    A `lifecycle run` as it stands in a command.

    Attributes:
        options: What follows `run`, up to `--`.
        command: What it starts, after `--`; empty for `lifecycle run MODULE:NAME`.
    """

    options: Sequence[str]
    command: Sequence[str] = ()

    @property
    def services(self) -> list[tuple[str, int | None]]:
        """The services that it exports, by name and port; None for a port that it does not name."""
        said = [value for name, value in read_options(self.options) if name == "--service"]
        parts = [each.rpartition(":") if ":" in each else (each, "", "") for each in said]
        return [(name, digits(port)) for name, _, port in parts]

    @property
    def without_instrumentation(self) -> bool:
        """Whether it is told to leave the workers as they are."""
        given = dict(read_options(self.options))
        return given.get("--instrument", "").lower() in _OFF

    @property
    def loses_instrumentation(self) -> str:
        """What keeps the instrumentation out of the workers; empty if nothing here does."""
        found = next((why for each in stages(self.command) if (why := _drops(each))), "")
        if not found and any(map(_OWN_PATH.search, self.command)):
            return "PYTHONPATH= replaces the folder of the instrumentation"
        return found


def lifecycle_run(words: Sequence[str]) -> LifecycleRun | None:
    """Return the `lifecycle run` of a command; None if it has none."""
    for each in stages(words):
        if each[:2] == ["lifecycle", "run"]:
            command = command_after(each)
            if command is None:
                return LifecycleRun(each[2:])
            return LifecycleRun(each[2 : len(each) - len(command) - 1], command)
    return None


def _drops(words: Sequence[str]) -> str:
    """Say how a program starts the next one without our variables; empty if it does not."""
    name = os.path.basename(words[0])
    if _PYTHON.fullmatch(name):
        switch = next((x for x in _python_options(words) if _SWITCHES.fullmatch(x)), "")
        return f"{name} {switch} does not read PYTHONPATH" if switch else ""
    options = [*_leading(words)]
    if name == "env" and {"-", "-i", "--ignore-environment"} & {*options}:
        return "env -i empties the environment"
    if name in ("su", "runuser") and {"-", "-l", "--login"} & {*words[1:]}:
        return f"{name} with a login shell empties the environment"
    kept = any(each.startswith(("-E", "--preserve-env")) for each in options)
    return "sudo empties the environment" if name == "sudo" and not kept else ""


def _python_options(words: Sequence[str]) -> Iterator[str]:
    """Give Python's own options, without what follows -m, -c or the script."""
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
