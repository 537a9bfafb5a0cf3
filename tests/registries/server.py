"""
A real server of a registry: on the loopback address, with ports and a folder of its own.

Rules of this file:

1. A server is stopped by its process id, and is reaped. If this process itself is killed, a
   watcher kills the server.
2. Each wait has a deadline, and its error has the end of the server's log.
3. What is registered is told by a client that shares no code with the plugin.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final, Self

from lifecycle.testing import free_port
from tests.process.waiting import wait_for

STARTED: Final = 60.0
"""Seconds that a server may take until it serves."""
STOPPED: Final = 20.0
"""Seconds that it may take to end when it is asked to."""
_WATCHER: Final = 'read -r _ || kill -9 "$1"'
"""A line on stdin lets it end. Without one, the other end of the pipe is gone, and so are we."""


@dataclass(frozen=True)
class Entry:
    """
    What a client of the registry finds under a key.

    Attributes:
        value: The text that is stored.
        owner: What keeps the entry alive: the id of a session or a lease. Empty if nothing does.
    """

    value: str
    owner: str = ""


class Server(ABC):
    """
    A server. As a context manager, it starts and ends.

    Args:
        folder: Where its folder is made.

    Attributes:
        name: The name of the registry.
        port: Where clients connect.
        folder: The folder of its settings, its data and its log.
    """

    name: ClassVar[str]

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.folder = folder / f"{self.name}-{self.port}"
        self.data = self.folder / "data"
        self.process: subprocess.Popen[bytes] | None = None
        self._watcher: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def argv(self) -> list[str]:
        """Return the command line. Files that it names are written here."""

    @abstractmethod
    def serves(self) -> bool:
        """Return whether it answers requests."""

    @abstractmethod
    def entries(self) -> dict[str, Entry]:
        """Return what is registered, by key, as a client of another kind finds it."""

    @abstractmethod
    def remove(self, key: str) -> None:
        """Remove an entry, as an operator would."""

    @abstractmethod
    def take(self, key: str, value: str) -> None:
        """Replace an entry by that of another process, which stays alive."""

    @abstractmethod
    def revoke(self) -> None:
        """Take its rights from the account that `url` names. What it has registered stays."""

    @abstractmethod
    def grant(self) -> None:
        """Give the account its rights back."""

    def environment(self) -> Mapping[str, str]:
        """Return what is added to its environment."""
        return {}

    def started(self) -> None:  # noqa: B027 - not each server has accounts
        """Do what is to be done whenever it has started. Accounts are made here."""

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def log(self) -> str:
        """What it has written so far."""
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self.process, f"{self.name} runs"
        return self.process.pid

    def start(self) -> None:
        """Start it, and return when it serves."""
        assert self.process is None, f"{self.name} does not run"
        self.data.mkdir(parents=True, exist_ok=True)
        argv = self.argv()
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                argv,
                cwd=self.folder,
                env=os.environ | self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._watcher = subprocess.Popen(
            ["/bin/sh", "-c", _WATCHER, "watcher", str(self.process.pid)],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        wait_for(
            lambda: self._ended() or self.serves(),
            STARTED,
            lambda: f"{self.name} serves:\n{self.log[-4000:]}",
        )
        assert not self._ended(), f"{self.name} has ended:\n{self.log[-4000:]}"
        self.started()

    def _ended(self) -> bool:
        return self.process is None or self.process.poll() is not None

    def stop(self) -> None:
        """Ask it to end, and wait."""
        os.kill(self.pid, signal.SIGTERM)
        assert self.process
        try:
            self.process.wait(STOPPED)
        finally:
            self.kill()

    def kill(self) -> None:
        """End it at once, frozen or not. Its data stay."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(STOPPED)
            self.process = None
        if self._watcher is not None:
            self._watcher.communicate(b"\n", timeout=STOPPED)
            self._watcher = None

    def freeze(self) -> None:
        """Let it hang: the kernel still accepts connections, and nothing answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        os.kill(self.pid, signal.SIGCONT)

    def wipe(self) -> None:
        """Kill it and remove its data. If it ran, start it again."""
        runs = self.process is not None
        self.kill()
        shutil.rmtree(self.data, ignore_errors=True)
        if runs:
            self.start()
