"""Who has the QOS port already: looked up when it cannot be bound, in the kernel's tables."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

from lifecycle.drain.kernel_sockets import LISTEN, TABLES
from lifecycle.exceptions import PortUnavailable
from lifecycle.plain import one_line


class PortHolder(NamedTuple):
    """
    A process as proc(5) shows it.

    Attributes:
        pid: Its process id.
        parent: Its parent's.
        command: How it was started, shortened.
    """

    pid: int
    parent: int
    command: str

    def __str__(self) -> str:
        return f"process {self.pid} ({self.command})"


class PortTaken(PortUnavailable):
    """
    A port is in use.

    Attributes:
        found: The process that has it; None if it cannot be seen.
    """

    def __init__(self, message: str, found: PortHolder | None) -> None:
        super().__init__(message)
        self.found = found


def holder(port: int) -> PortHolder | None:
    """
    Find the process that listens on a port: of several, the one that is nearest to us.

    Nearest is this process itself, then its parent, then a child of the same parent.
    None if it cannot be seen: another user's, another pod's, another system's.
    """
    sockets = {f"socket:[{inode}]" for inode in _inodes(port)}
    if not sockets:
        return None
    us, parent = os.getpid(), os.getppid()
    found = [process for process in _processes() if sockets & _links(process.pid)]
    found.sort(key=lambda each: (each.pid != us, each.pid != parent, each.parent != parent))
    return found[0] if found else None


def is_fellow(found: PortHolder) -> bool:
    """Tell whether it is another worker of the server that has started this one."""
    return found.parent == os.getppid() and found.pid != os.getpid()


def lives(found: PortHolder) -> bool:
    """Tell whether a process that was found is still there."""
    return os.path.exists(f"/proc/{found.pid}")


def way_out(found: PortHolder) -> str:
    """Say what is wrong when this process has it, and what to do."""
    if found.pid == os.getpid():
        return "this process has it itself: two lifecycles in one process (Managed twice?)"
    one = "one process a pod has a lifecycle; run one worker and scale with replicas"
    if found.pid == os.getppid():
        return (
            f"{found}, which has started this one, has it: {one}, "
            "and open no lifecycle before a server forks its workers"
        )
    if is_fellow(found):
        return (
            f"{found}, another worker of the same server, has it: {one} "
            "(--workers 1; unset WEB_CONCURRENCY)"
        )
    return f"{found} has it: stop it, or run it in a pod of its own"


def _inodes(port: int) -> Iterator[str]:
    for table in TABLES:
        for line in _read(table).splitlines():
            row = line.split()
            if row[3] == LISTEN and row[1].endswith(f":{port:04X}"):
                yield row[9]


def _processes() -> Iterator[PortHolder]:
    for name in _names("/proc"):
        if name.isdigit():
            _, _, after = _read(f"/proc/{name}/stat").rpartition(") ")
            words = _read(f"/proc/{name}/cmdline").split("\0")
            if after:
                command = " ".join(words).strip()
                parent = int(after.split()[1])
                yield PortHolder(int(name), parent, one_line(command[:80]) or "?")


def _links(pid: int) -> set[str]:
    found = set()
    for name in _names(f"/proc/{pid}/fd"):
        try:
            found.add(os.readlink(f"/proc/{pid}/fd/{name}"))
        except OSError:
            continue  # closed meanwhile
    return found


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
