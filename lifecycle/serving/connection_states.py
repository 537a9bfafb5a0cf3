"""
The states of a connection, as two tables. No other code tests for a single state.

`NEXT` has the state after each event. `RULES` has what applies in each state. NEW is not idle: the
first request of a new connection may be on its way. As in Go's net/http, such a connection
becomes idle only after some time.
"""

from __future__ import annotations

import enum
from typing import Final, NamedTuple

NEW_TIME: Final = 3.0
"""Seconds after which a connection without a request counts as idle, as in Go's net/http."""
REUSE_TIME: Final = 0.5
"""
Seconds after an answer in which the next request may be on its way. A client that was told to close
sends none. But a long answer has its header from the time before.
"""


class ConnState(enum.IntEnum):
    """The state of a connection, ordered by how much a cut would lose, least first."""

    CLOSED = 0
    """Closed by the server. Bytes that were sent last may still be on their way."""
    IDLE = 1
    """Answered, and waiting for its next request."""
    NEW = 2
    """Without a whole request so far. Over TLS, the handshake may still be running."""
    ACTIVE = 3
    """At least one request is being answered."""
    HELD = 4
    """As ACTIVE, and the app has asked to keep the connection's place."""


class ConnEvent(enum.IntEnum):
    """An event that changes the state."""

    REQUEST = enum.auto()
    """A request has arrived."""
    HOLD = enum.auto()
    """The app of a request has asked to keep the connection's place."""
    ANSWERED = enum.auto()
    """All requests are answered."""
    CLOSE = enum.auto()
    """The server closes the connection."""


class GivesWay(enum.IntEnum):
    """Which connections may take a connection's place at the limit."""

    TO_ANYBODY = 0
    """Any connection, even one that has just been accepted."""
    TO_A_REQUEST = 1
    """Only a connection that has sent its request."""
    TO_NOBODY = 2


class Rules(NamedTuple):
    """
    The rules of one state.

    Attributes:
        gives_way: Which connections may take its place.
        waits: Whether it waits for a request. Unread bytes count as a request until they are read.
            If it has sent no request, it is cut first when the server ends.
        young: Whether it must be `NEW_TIME` old before it counts as idle.
        kept: Whether it was answered before. It counts as idle after `REUSE_TIME`, unless the
            server ends. Once a part of the next request has arrived, that request may be completed.
        over: Only its last bytes are on their way.
    """

    gives_way: GivesWay
    waits: bool = False
    young: bool = False
    kept: bool = False
    over: bool = False


_CLOSED, _IDLE, _NEW, _ACTIVE, _HELD = ConnState
_REQUEST, _HOLD, _ANSWERED, _CLOSE = ConnEvent

RULES: Final[dict[ConnState, Rules]] = {
    _CLOSED: Rules(GivesWay.TO_ANYBODY, over=True),
    _IDLE: Rules(GivesWay.TO_ANYBODY, waits=True, kept=True),
    _NEW: Rules(GivesWay.TO_ANYBODY, waits=True, young=True),
    _ACTIVE: Rules(GivesWay.TO_A_REQUEST),
    _HELD: Rules(GivesWay.TO_NOBODY),
}

NEXT: Final[dict[ConnState, dict[ConnEvent, ConnState]]] = {
    _CLOSED: {_REQUEST: _CLOSED, _HOLD: _CLOSED, _ANSWERED: _CLOSED, _CLOSE: _CLOSED},
    _IDLE: {_REQUEST: _ACTIVE, _HOLD: _HELD, _ANSWERED: _IDLE, _CLOSE: _CLOSED},
    _NEW: {_REQUEST: _ACTIVE, _HOLD: _HELD, _ANSWERED: _IDLE, _CLOSE: _CLOSED},
    _ACTIVE: {_REQUEST: _ACTIVE, _HOLD: _HELD, _ANSWERED: _IDLE, _CLOSE: _CLOSED},
    _HELD: {_REQUEST: _HELD, _HOLD: _HELD, _ANSWERED: _IDLE, _CLOSE: _CLOSED},
}

GIVE_WAY: Final[dict[GivesWay, tuple[ConnState, ...]]] = {
    whom: tuple(state for state, rules in RULES.items() if rules.gives_way <= whom)
    for whom in GivesWay
}
"""The states that give way to each kind of connection, the one with least to lose first."""
