"""
The command `lifecycle prestop`, which drains the app and returns when SIGTERM is safe.

The kubelet runs it inside the container, often with a tenth of a core. Importing this file must
therefore stay cheap.
"""

from __future__ import annotations

from lifecycle.cli.control_client import Unreachable, add_port, port_in, port_of, request

TYPE_CHECKING = False  # as type checkers know it, without importing `typing`
if TYPE_CHECKING:
    import argparse

add = add_port


def run(options: argparse.Namespace) -> int:
    """Drain the app that has the given port."""
    return prestop(port_of(options))


def run_plain(words: list[str]) -> int | None:
    """Drain the app if the words need no parser, or else return None."""
    port = port_in(words)
    return None if port is None else prestop(port)


def prestop(port: int) -> int:
    """Drain the app. Returns 0 when SIGTERM is safe, and 1 if there was no app to drain."""
    try:
        status, body = request("POST", "/prestop", port, timeout=None)
    except Unreachable as error:
        return _fail(error)
    if status != 200:
        answer = body.strip()
        has_page = "\nSee http" in answer
        see = "" if has_page else "errors.md#prestop-refused"
        return _fail(f"the app answered preStop with {status}: {answer}", see=see)
    return 0


def _fail(message: object, see: str = "") -> int:
    from lifecycle.cli.console import fail  # a drain that succeeds prints nothing

    return fail(message, 1, see=see)
