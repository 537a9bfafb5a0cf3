"""
The faults of the matrix.

Rules of this file:

1. A fault begins, lasts, and ends. When `end` returns, the registry can be reached again.
2. A fault that happens at once (a reset) has nothing to end.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final, Protocol

from tests.faults.links import Way
from tests.faults.proxy import Proxy
from tests.registries.server import Server


class Stage(Protocol):
    """What a fault may touch."""

    server: Server
    proxy: Proxy
    taken: str
    """The key that another process has taken, or nothing."""

    @property
    def pid(self) -> int:
        """The process id of the app."""

    @property
    def key(self) -> str:
        """The key of the app's entry."""


class Kind(Enum):
    """What a fault does to an app, and so what is asked of the app meanwhile."""

    HARMLESS = "all works, but later"
    OUTAGE = (
        "the registry is out of reach: nothing new is registered, and no ready app is taken out"
    )
    LOSS = "the entry is gone or another's: the app may know it"
    ABSENCE = "the app itself does not run"
    DEATH = "the app is killed"


class State(Enum):
    """Where in its life an app is when a fault begins."""

    BEFORE = "before registering"
    REGISTERING = "while registering"
    READY = "ready"
    DRAINING = "draining"


CONNECTED: Final = frozenset({State.REGISTERING, State.READY, State.DRAINING})
"""Of a fault that happens to a connection."""
REGISTERED: Final = frozenset({State.READY, State.DRAINING})
"""Of a fault that happens to an entry."""
Act = Callable[[Stage], object]


@dataclass(frozen=True)
class Fault:
    """
    A fault.

    Attributes:
        name: Its name in the table.
        kind: What it does to an app.
        begin: Lets it begin.
        end: Ends it.
        states: When it can happen.
        unseen: A connection is gone, and only a silence that lasts can tell so.
        answers: The server's answers get through, if there are any.
        asked: The server can be asked what is registered.
        lasts: It is not over at once.
        network: It is between the app and the server.
    """

    name: str
    kind: Kind
    begin: Act
    end: Act = lambda _: None
    states: frozenset[State] = frozenset(State)
    unseen: bool = False
    answers: bool = True
    asked: bool = True
    lasts: bool = True
    network: bool = False


def _heal(stage: Stage) -> None:
    stage.proxy.heal()


def _refuse(stage: Stage) -> None:
    stage.proxy.refuse()
    stage.proxy.reset()


def _wipe(stage: Stage) -> None:
    stage.server.kill()
    stage.server.wipe()


def _start(stage: Stage) -> None:
    stage.server.start()


def _thaw(stage: Stage) -> None:
    stage.server.thaw()


def _take(stage: Stage) -> None:
    stage.taken = stage.key
    stage.server.take(stage.taken, "theirs")


def _give_back(stage: Stage) -> None:
    """Remove the other's entry, which must still be there."""
    found = stage.server.everything()
    assert stage.taken in found, "the entry of another process is still there"
    assert "theirs" in found[stage.taken].value, "the entry of another process is untouched"
    stage.server.remove(stage.taken)
    stage.taken = ""


def _pause(stage: Stage) -> None:
    os.kill(stage.pid, signal.SIGSTOP)


def _continue(stage: Stage) -> None:
    os.kill(stage.pid, signal.SIGCONT)


FAULTS: Final = (
    Fault("delay", Kind.HARMLESS, lambda on: on.proxy.delay(0.15), _heal, network=True),
    Fault("bandwidth", Kind.HARMLESS, lambda on: on.proxy.limit(4_000), _heal, network=True),
    Fault("reset", Kind.HARMLESS, lambda on: on.proxy.reset(), network=True, states=CONNECTED),
    Fault(
        "cut",
        Kind.HARMLESS,
        lambda on: on.proxy.cut(20, Way.DOWN),
        _heal,
        network=True,
        states=CONNECTED,
    ),
    Fault(
        "half-open",
        Kind.HARMLESS,
        lambda on: on.proxy.half_open(),
        states=CONNECTED,
        unseen=True,
        network=True,
    ),
    Fault(
        "half-open-server",
        Kind.HARMLESS,
        lambda on: on.proxy.half_open(Way.DOWN),
        network=True,
        states=CONNECTED,
    ),
    Fault("silence", Kind.OUTAGE, lambda on: on.proxy.hold(), _heal, network=True, answers=False),
    Fault("silence-up", Kind.OUTAGE, lambda on: on.proxy.hold(Way.UP), _heal, network=True),
    Fault(
        "silence-down",
        Kind.OUTAGE,
        lambda on: on.proxy.hold(Way.DOWN),
        _heal,
        network=True,
        answers=False,
    ),
    Fault(
        "isolated", Kind.OUTAGE, lambda on: on.proxy.isolate(), _heal, network=True, answers=False
    ),
    Fault("refused", Kind.OUTAGE, _refuse, _heal, network=True),
    Fault("stopped", Kind.OUTAGE, lambda on: on.server.stop(), _start, asked=False),
    Fault("killed", Kind.OUTAGE, lambda on: on.server.kill(), _start, asked=False),
    Fault("frozen", Kind.OUTAGE, lambda on: on.server.freeze(), _thaw, asked=False),
    Fault("wiped", Kind.OUTAGE, _wipe, _start, asked=False),
    Fault("revoked", Kind.OUTAGE, lambda on: on.server.revoke(), lambda on: on.server.grant()),
    Fault(
        "removed", Kind.LOSS, lambda on: on.server.remove(on.key), states=REGISTERED, lasts=False
    ),
    Fault("lapsed", Kind.LOSS, lambda on: on.server.lapse(on.key), states=REGISTERED, lasts=False),
    Fault("taken", Kind.LOSS, _take, _give_back, states=REGISTERED),
    Fault("paused", Kind.ABSENCE, _pause, _continue, states=CONNECTED),
    Fault("dead", Kind.DEATH, lambda on: os.kill(on.pid, signal.SIGKILL), states=CONNECTED),
)
