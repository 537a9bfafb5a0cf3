"""
The program of the guard, which kills the remaining processes when its stdin ends.

A line `+12` means that process group 12 is being started, a line `-12` that it is gone. The
program imports almost nothing, so that it starts at once.
"""

import os
import signal
import sys


def main() -> None:
    """Kill the remaining process groups once stdin has ended."""
    groups: set[int] = set()
    for line in sys.stdin:
        (groups.add if line.startswith("+") else groups.discard)(int(line[1:]))
    for group in groups:
        try:
            os.killpg(group, signal.SIGKILL)
        except OSError:
            continue


if __name__ == "__main__":
    main()
