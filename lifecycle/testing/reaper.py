"""
What `Guard` runs, by its path: it kills what is left when its stdin ends.

`+12` on a line is a process group that is being started, `-12` one that is gone. It imports
next to nothing, so that it is there at once.
"""

import os
import signal
import sys


def main() -> None:
    """Kill what is left once nobody can tell of it any more."""
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
