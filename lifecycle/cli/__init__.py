"""
The command `lifecycle`.

`prestop` and `probe` run inside the container, often throttled to a tenth of a core:
they are answered here, before anything heavy is imported.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command. Exits by SystemExit."""
    from lifecycle.cli import light

    words = sys.argv[1:]
    try:
        code = light.try_main(words)
        if code is None:
            from lifecycle.cli import heavy

            code = heavy.main(words)
    except KeyboardInterrupt:  # who waits for a preStop at a terminal may stop waiting
        code = 130
    raise SystemExit(code)
