"""Folders of the Python, the server or the `lifecycle` in a command."""

from __future__ import annotations

import os.path
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from lifecycle.checks.commands.programs import (
    RUNNERS,
    SERVERS,
    command_after,
    flags_of,
    script_of,
)
from lifecycle.checks.commands.shell import Unclear, read_script

_PROGRAM: Final = re.compile(rf"(?:[\w@./-]*/)?(lifecycle|python[\d.]*|{'|'.join(SERVERS)})")
_STANDARD: Final = (
    "/usr/local/bin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/sbin", "/sbin", "/opt/conda/bin",
)  # fmt: skip
_RUNNERS: Final = frozenset(RUNNERS) - {"pipx"}
"""Programs that use the app's environment. pipx makes a separate environment."""
_ENTERS: Final = re.compile(r"bin/activate\b|\bPATH=|\bconda activate\b")
_VERSION: Final = re.compile(r"python(\d+\.\d+)")
_DEPTH: Final = 5


@dataclass(frozen=True)
class Place:
    """
    A Python, a server or `lifecycle` in a command.

    Attributes:
        program: The program as written in the command.
        is_ours: Whether it is `lifecycle` or `python -m lifecycle`.
        prepared: Whether the command sets up an environment first. Examples are `activate`, `PATH=`
            and `poetry run`.
        login: Whether a login shell runs the program. Its PATH may be different.
    """

    program: str
    is_ours: bool
    prepared: bool
    login: bool

    @property
    def folder(self) -> str:
        """Folder of the program. Empty if the PATH decides."""
        return os.path.dirname(self.program)

    @property
    def is_absolute(self) -> bool:
        """Whether the folder does not depend on the working directory."""
        return self.folder.startswith("/")

    @property
    def is_standard(self) -> bool:
        """Whether the folder is on the PATH of every image."""
        return self.folder in _STANDARD

    @property
    def python(self) -> str:
        """The version in the name of the Python. Empty if there is none."""
        found = _VERSION.fullmatch(os.path.basename(self.program))
        return found[1] if found else ""

    @property
    def shown(self) -> str:
        """The program as shown in messages."""
        python = os.path.basename(self.program).startswith("python")
        return f"{self.program} -m lifecycle" if self.is_ours and python else self.program


def place_of(words: Sequence[str]) -> Place | None:
    """Return the place of the program in a container's command. None if not known."""
    return next(reversed(places(words)), None)


def places(words: Sequence[str]) -> list[Place]:
    """Return every Python, server and `lifecycle` in a command."""
    found = []
    words = _without_child(words)
    entered = bool(_ENTERS.search(" ".join(words)))
    login = any("l" in flags_of(words[at:]) for at in range(len(words)))
    for command in _opened(words):
        at = next((at for at, word in enumerate(command) if _PROGRAM.fullmatch(word)), None)
        if at is not None:
            rest = command[at:]
            name = os.path.basename(rest[0])
            module = name.startswith("python") and rest[1:3] == ["-m", "lifecycle"]
            runner = any(os.path.basename(each) in _RUNNERS for each in command[:at])
            found.append(Place(rest[0], name == "lifecycle" or module, entered or runner, login))
    return found


def _without_child(words: Sequence[str]) -> list[str]:
    """Return a command without the part after `lifecycle run --`, which need not find `lifecycle`."""
    for at, word in enumerate(words):
        if os.path.basename(word) == "lifecycle":
            child = command_after(words[at:])
            return list(words[: len(words) - len(child or ())])
    return list(words)


def _opened(words: Sequence[str], depth: int = 0) -> list[list[str]]:
    """Return the commands of a shell script in a command. Without a script, return the command."""
    for at in range(len(words)):
        script = script_of(words[at:]) if depth < _DEPTH else None
        if script is not None:
            try:
                commands = read_script(script)
            except Unclear:
                return []
            given = (_without_child(part.words) for part in commands)
            return [each for part in given for each in _opened(part, depth + 1)]
    return [list(words)]
