"""Processes as the kernel lists them: parents, process groups, command lines and environments."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Final, NamedTuple

_THREADS: Final = 17
"""The position of the number of threads in /proc/PID/stat, counted after the name: proc(5)."""


class Process(NamedTuple):
    """
    A process.

    Attributes:
        pid: The process id.
        parent: The id of the parent.
        group: The process group.
        ended: True for a zombie, a process that has ended and was not reaped.
    """

    pid: int
    parent: int
    group: int
    ended: bool


def look_at(pid: int) -> Process | None:
    """Return a process, or None if it does not exist, or there is no /proc."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            stat = file.read()
    except OSError:
        return None
    # Its name comes first, in brackets, and may have any character.
    fields = stat[stat.rindex(b")") + 2 :].split()
    state, parent, group = fields[:3]
    # The state is that of its first thread. It cannot be reaped while another thread runs.
    ended = state in (b"Z", b"X") and int(fields[_THREADS]) <= 1
    return Process(pid, int(parent), int(group), ended)


def everybody() -> list[Process]:
    """Return all visible processes, or none if there is no /proc."""
    try:
        names = os.listdir("/proc")
    except OSError:
        return []
    found = (look_at(int(name)) for name in names if name.isdigit())
    return [each for each in found if each is not None]


def children() -> list[Process]:
    """Return the children that the main thread of this process has started or adopted."""
    pid = os.getpid()
    try:
        with open(f"/proc/{pid}/task/{pid}/children", "rb") as file:
            found = map(look_at, map(int, file.read().split()))
            return [each for each in found if each is not None]
    except OSError:  # a kernel without this list
        return [each for each in everybody() if each.parent == pid]


def descendants(roots: Iterable[int], processes: Iterable[Process]) -> list[Process]:
    """Return the processes with the given ids and all their descendants, in any order."""
    by_parent: dict[int, list[Process]] = {}
    by_pid = {}
    for each in processes:
        by_pid[each.pid] = each
        by_parent.setdefault(each.parent, []).append(each)
    found = [by_pid[root] for root in roots if root in by_pid]
    for each in found:  # which grows meanwhile
        found += by_parent.get(each.pid, ())
    return found


def command_line(pid: int) -> str:
    """Return the first 400 bytes of a process's command line, or "" if there is none."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read(400).rstrip(b"\0").replace(b"\0", b" ")
    except OSError:
        return ""
    return words.decode(errors="replace")


def variable(pid: int, name: str) -> str:
    """Return a variable from the initial environment of a process, or "" if it is not set."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            variables = file.read().split(b"\0")
    except OSError:
        return ""
    prefix = name.encode() + b"="
    return next(
        (v[len(prefix) :].decode(errors="replace") for v in variables if v.startswith(prefix)), ""
    )
