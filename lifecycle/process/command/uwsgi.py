"""
uWSGI, which serves in C: what its environment alone has it do.

Rules of this file:

1. Only variables that uWSGI reads are set, and none that the user has set. Any other command
   does not look at them.
2. SIGTERM ends it: by itself it would load the app anew (`die-on-term`).
3. From T0 on each response says `Connection: close`: a route of its own router, which holds while
   a file is there. The file is made at T0. What uWSGI does then is its own: `--http-socket` closes
   after each response, drain or not; `--http11-socket` leaves the closing to the client;
   `--http --http-keepalive` closes.

Out of reach: idle connections, WebSockets, a uWSGI that was built without routing. What is in
flight, and who comes, the kernel tells.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

DRAINING: Final = ".draining"
"""The name of the file that is there from T0 on ends so; it begins as that of the board."""
DIE_ON_TERM: Final = "UWSGI_DIE_ON_TERM"
ROUTE: Final = "UWSGI_RESPONSE_ROUTE_IF"


def environment(given: Mapping[str, str], board: str = "") -> dict[str, str]:
    """
    Return the variables to add to those of the command.

    Args:
        given: Those that it has.
        board: The path of the board; empty if there is none: then its clients are not told to go.
    """
    ours = {DIE_ON_TERM: "1"}
    if board:
        ours[ROUTE] = f"exists:{board}{DRAINING} addheader:Connection: close"
    return {name: value for name, value in ours.items() if name not in given}


def tell(board: str) -> None:
    """Have its responses say close, from now on; if the file cannot be made they do not."""
    # Anybody may write in the folder of the board: a pipe of his would have us wait for ever.
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
    with suppress(OSError):
        os.close(os.open(board + DRAINING, flags, 0o600))
