"""
The command `lifecycle`.

`prestop` and `probe` run inside the container, often throttled to a tenth of a core:
they are answered before anything heavy is imported.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command. Exits by SystemExit."""
    from lifecycle.cli import commands

    words = sys.argv[1:]
    try:
        code = commands.run_plain(words)
        if code is None:
            from lifecycle.cli import parser

            code = parser.main(words)
    except KeyboardInterrupt:  # who waits for a preStop at a terminal may stop waiting
        code = 130
    raise SystemExit(code)
