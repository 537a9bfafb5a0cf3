"""
What a connection's state says about it, as two tables; nothing else asks about a single state.

`NEXT` says what an event makes of a state, `RULES` what holds in it. NEW is not idle: a
connection that has not asked yet has a request on its way, as far as anybody can tell. As in
Go's net/http, it is idle only once it is old enough.
"""

from __future__ import annotations

import enum
from typing import Final, NamedTuple

NEW_TIME: Final = 3.0
"""Seconds after which a connection that has not asked yet counts as idle, as in Go's net/http."""


class ConnState(enum.IntEnum):
    """Where a connection stands: by what would be lost if it were cut, least first."""

    CLOSED = 0
    """The server has ended it; what was sent last may still be on its way."""
    IDLE = 1
    """Answered, and waiting for its next request."""
    NEW = 2
    """It has not sent a whole request yet; over TLS, it may still be shaking hands."""
    ACTIVE = 3
    """At least one request is being answered."""
    HELD = 4
    """As ACTIVE, and its app has asked that it keeps its place."""


class ConnEvent(enum.IntEnum):
    """What changes it."""

    REQUEST = enum.auto()
    """A request has come."""
    HOLD = enum.auto()
    """The app of a request has asked that the connection keeps its place."""
    ANSWERED = enum.auto()
    """No request is left that is not answered."""
    CLOSE = enum.auto()
    """The server ends it."""


class GivesWay(enum.IntEnum):
    """To whom a connection gives its place up, when there are as many as there may be."""

    TO_ANYBODY = 0
    """To one that has just been accepted, too."""
    TO_A_REQUEST = 1
    """Only to one that has sent its request."""
    TO_NOBODY = 2


class Rules(NamedTuple):
    """
    What holds in one state.

    Attributes:
        gives_way: To whom it gives its place up.
        waits: Nobody answers it, it is to ask. What has come of it unread counts as a request
            until it is read; and what has asked for nothing is cut first when the server ends.
        young: It is not idle before it is `NEW_TIME` old.
        kept: It has been answered before: once it has begun to ask again, it may finish that.
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
"""The states that give way to somebody, the one that has least to lose first."""
