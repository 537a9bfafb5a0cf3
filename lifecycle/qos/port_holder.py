"""Finds the process that already uses the QOS port, in the tables of the kernel."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

from lifecycle.drain.kernel_sockets import LISTEN, TABLES
from lifecycle.exceptions import PortUnavailable
from lifecycle.plain import one_line


class PortHolder(NamedTuple):
    """
    A process, as in proc(5).

    Attributes:
        pid: Its process id.
        parent: The process id of its parent.
        command: Its command line, shortened.
    """

    pid: int
    parent: int
    command: str

    def __str__(self) -> str:
        return f"process {self.pid} ({self.command})"


class PortTaken(PortUnavailable):
    """
    The QOS port is already in use.

    Attributes:
        found: The process that uses the port. None if it is not visible.
    """

    help_entry = "qos-port-in-use"

    def __init__(self, message: str, found: PortHolder | None) -> None:
        super().__init__(message)
        self.found = found


def holder(port: int) -> PortHolder | None:
    """
    Find the process that listens on a port.

    If there are several, the order is: this process, its parent, a child of the same parent, any
    other process. None if the process is not visible, for example because it belongs to another
    user or pod.
    """
    sockets = {f"socket:[{inode}]" for inode in _inodes(port)}
    if not sockets:
        return None
    us, parent = os.getpid(), os.getppid()
    found = [process for process in _processes() if sockets & _links(process.pid)]
    found.sort(key=lambda each: (each.pid != us, each.pid != parent, each.parent != parent))
    return found[0] if found else None


def is_fellow(found: PortHolder) -> bool:
    """Return True if it is another worker of the same server."""
    return found.parent == os.getppid() and found.pid != os.getpid()


def lives(found: PortHolder) -> bool:
    """Return True if the process still exists."""
    return os.path.exists(f"/proc/{found.pid}")


def way_out(found: PortHolder) -> str:
    """Return which process uses the port, and what to do."""
    if found.pid == os.getpid():
        return (
            "This process already uses the port. Start pod-lifecycle only once, for example with "
            "one Managed."
        )
    one = (
        "Only one process per pod can run pod-lifecycle. "
        "Run one worker per pod, and scale with replicas"
    )
    if found.pid == os.getppid():
        return (
            f"The parent of this process uses the port: {found}. {one}. "
            "Do not start pod-lifecycle before a server forks its workers."
        )
    if is_fellow(found):
        return (
            f"Another worker of the same server uses the port: {found}. {one} "
            "(--workers 1, and unset WEB_CONCURRENCY)."
        )
    return f"Another program uses the port: {found}. Stop it, or run it in another pod."


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
