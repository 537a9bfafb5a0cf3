"""
`lifecycle prestop`: drains, and returns when SIGTERM is safe.

It runs inside the container, often throttled to a tenth of a core: it imports next to nothing.
"""

from __future__ import annotations

from lifecycle.cli.control_client import Unreachable, add_port, port_in, port_of, request

TYPE_CHECKING = False  # as type checkers know it, without importing `typing`
if TYPE_CHECKING:
    import argparse

add = add_port


def run(options: argparse.Namespace) -> int:
    """Drain the app of a port."""
    return prestop(port_of(options))


def run_plain(words: list[str]) -> int | None:
    """Do it if the words need no parser; None if they do."""
    port = port_in(words)
    return None if port is None else prestop(port)


def prestop(port: int) -> int:
    """Drain, and return when it is safe to send SIGTERM: 0; 1 if nobody was there to drain."""
    try:
        status, body = request("POST", "/prestop", port, timeout=None)
    except Unreachable as error:
        return _fail(str(error))
    if status != 200:
        return _fail(f"preStop was answered with {status}: {body.strip()}")
    return 0


def _fail(message: str) -> int:
    from lifecycle.cli.console import fail  # who has drained has nothing to say

    return fail(message, 1)
