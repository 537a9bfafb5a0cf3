"""The TCP ports on which the processes of one replica listen."""

from __future__ import annotations

from typing import Final

from lifecycle.drain.open_ports import names_in, ports_of

_SESSION: Final = 3
"""The position of a process's session in /proc/PID/stat, counted after the name: proc(5)."""


def ports_of_session(session: int) -> frozenset[int]:
    """
    Return the TCP ports that the processes of one session listen on, or none if there is no /proc.

    Args:
        session: The process id of the session's first process.
    """
    pids = [name for name in names_in("/proc") if name.isdigit()]
    return ports_of(int(pid) for pid in pids if _session(pid) == session)


def _session(pid: str) -> int:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            stat = file.read()
    except OSError:  # the process has ended
        return -1
    return int(stat[stat.rindex(b")") + 2 :].split()[_SESSION])
