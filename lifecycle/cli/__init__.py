"""
The command `lifecycle`.

The kubelet runs `prestop` and `probe` inside the container, often with a tenth of a core.
They therefore finish before any large module is imported.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line of this process. It always raises SystemExit."""
    from lifecycle.cli import commands

    words = sys.argv[1:]
    try:
        code = commands.run_plain(words)
        if code is None:
            from lifecycle.cli import parser

            code = parser.main(words)
    except KeyboardInterrupt:  # a person who waits for `prestop` may press Ctrl-C
        code = 130
    raise SystemExit(code)
