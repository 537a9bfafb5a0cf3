"""What one connection does: the same for every protocol."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, field


class End(enum.Enum):
    """How a client leaves."""

    CLOSE = "closes"
    RESET = "resets"
    HALF = "closes its half, and reads on"


@dataclass
class Case:
    """
    One connection.

    Attributes:
        steps: What it sends, in this order; a number is a pause in seconds.
        requests: How many requests that is, whole or not.
        satisfied: Tells from all that was received whether the server owes nothing more.
            Until then, or until the server ends the connection, the client waits: if
            neither comes, the server stands still, and that is a fault. None: it does not wait.
        end: How it leaves.
        tls: None, or how much of the handshake is done: see `tls.py`.
    """

    steps: list[bytes | float] = field(default_factory=list)
    requests: int = 1
    satisfied: Callable[[bytes], bool] | None = None
    end: End = End.CLOSE
    tls: bool = False
