"""Whether a process runs, and when it has started."""

from __future__ import annotations

import os


def _look(pid: int) -> tuple[bytes, int]:
    """Return the state of a process (a letter) and its start time, or "" and 0 if not known."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            # The name of the command may hold spaces and brackets: proc(5).
            fields = stat.read().rpartition(b")")[2].split()
            return fields[0], int(fields[19])
    except (OSError, ValueError, IndexError):
        return b"", 0


def start_time(pid: int) -> int:
    """Return the start time of a process in ticks since the machine's start, or 0 if not known."""
    return _look(pid)[1]


def is_alive(pid: int, started: int) -> bool:
    """Return whether the process with this pid and start time still runs."""
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it belongs to another user, so it exists
        pass
    state, now = _look(pid)
    if state in (b"Z", b"X"):  # it has ended, and its parent has not looked yet
        return False
    return not now or not started or now == started
