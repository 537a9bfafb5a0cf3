"""
Support for uWSGI, which serves in C: settings that it reads from its environment.

Rules of this file:

1. Only variables that uWSGI reads are set, and only if the user has not set them. Other commands
   ignore them.
2. SIGTERM ends uWSGI. Its default is to reload the app (`die-on-term` changes that).
3. While clients are told to go, each response has `Connection: close`. A rule of uWSGI's own
   router adds it while a file exists. The behaviour of uWSGI then depends on its option. With `--http-socket` it closes after each response, drain or
   not. With `--http11-socket` it leaves the closing to the client. With `--http --http-keepalive`
   it closes.

Not covered: idle connections, WebSockets, and a uWSGI that was built without routing. The kernel
reports requests in flight, and new clients.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

DRAINING: Final = ".draining"
"""The suffix of a file next to the board. The file exists while clients are told to go."""
DIE_ON_TERM: Final = "UWSGI_DIE_ON_TERM"
ROUTE: Final = "UWSGI_RESPONSE_ROUTE_IF"


def environment(given: Mapping[str, str], board: str = "") -> dict[str, str]:
    """
    Return the variables to add to the environment of the command.

    Args:
        given: The environment of the command.
        board: The path of the board. Without a board (""), no response gets `Connection: close`.
    """
    ours = {DIE_ON_TERM: "1"}
    if board:
        ours[ROUTE] = f"exists:{board}{DRAINING} addheader:Connection: close"
    return {name: value for name, value in ours.items() if name not in given}


def tell(board: str) -> None:
    """Have each response say `Connection: close` from now on, if the file can be created."""
    # Any user may write in the folder of the board. Opening a pipe there would block forever.
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
    with suppress(OSError):
        os.close(os.open(board + DRAINING, flags, 0o600))


def take_back(board: str) -> None:
    """Have responses say nothing any more."""
    with suppress(OSError):
        os.unlink(board + DRAINING)
