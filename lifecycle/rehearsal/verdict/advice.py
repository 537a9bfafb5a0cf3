"""What each kind of loss means, and what to change. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

from lifecycle.rehearsal.measuring.losses import Cause
from lifecycle.rehearsal.replicas.replica import Stage


class Advice(NamedTuple):
    """Why it happened, and what to change."""

    why: str
    change: str


@dataclass(frozen=True)
class Circumstances:
    """
    What advice depends on.

    Attributes:
        qos: Whether the app answers on QOS: it runs under lifecycle.
        propagation: Seconds until the last client has heard.
        grace: terminationGracePeriodSeconds.
        killed: Whether it was lost when SIGKILL had been sent to the replica, or later.
        joining: Seconds until the last client has heard of a new replica.
        unheard: Whether a replica was ready that the client had not heard of.
        method: Of the requests.
    """

    qos: bool
    propagation: float
    grace: float
    killed: bool
    joining: float = 0.0
    unheard: bool = False
    method: str = "GET"


MALFORMED: Final = Advice(
    "the answer was not what the protocol allows", "look at what stands in front of the app"
)
SEVERED: Final = Advice(
    "the server ended a connection in use, rollout or not",
    "see whether it crashed; let it keep idle connections for longer than --think",
)
UNASKED: Final = Advice(
    "the server closed a new connection before its first request came, because it treated the "
    "connection as idle",
    "close only connections that have been answered; give a new one its time to send a header "
    "(lifecycle run --asgi does both)",
)
SEVERED_BY_SIGKILL: Final = frozenset(
    {
        Cause.QUEUE,
        Cause.CUT,
        Cause.UPLOAD,
        Cause.RESET,
        Cause.UNASKED,
        Cause.STREAM_RESET,
        Cause.ABNORMAL,
        Cause.TIMEOUT,
    }
)
IDEMPOTENT: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})
KEPT: Final = (
    "the server closed a kept connection without having said Connection: close, while the next "
    "request was on its way"
)

HEALTHY: Final[dict[Cause, Advice]] = {
    Cause.REFUSED: Advice(
        "a replica was among the endpoints though nobody listened there",
        "say ready only once the port is open; see whether it crashed",
    ),
    Cause.ERROR: Advice(
        "the app answered with an error, rollout or not", "look at the app's own log"
    ),
    Cause.TIMEOUT: Advice(
        "the app did not answer in time, rollout or not",
        "it is overloaded or hangs: lower --rate, or raise --timeout",
    ),
    Cause.QUEUE: Advice(
        "the listener was closed before the server accepted the connection, rollout or not",
        "find out what closed the listener: a crash, or a restart of a worker",
    ),
    Cause.RESET: SEVERED,
    Cause.UNASKED: UNASKED,
    Cause.CUT: SEVERED,
    Cause.UPLOAD: Advice(
        "the server ended the connection while the body was arriving, rollout or not",
        "see whether it crashed; let it wait longer for a body than a client takes to send it",
    ),
    Cause.STREAM_RESET: SEVERED,
    Cause.ABNORMAL: SEVERED,
}
"""What was lost by a replica that was not leaving."""

LEAVING: Final[dict[Cause, Advice]] = {
    Cause.CUT: Advice(
        "it was in flight when the server left: nobody waited for it",
        "wait for what is in flight before the process ends (lifecycle's drain does), and give "
        "it a grace period that is longer than the longest request",
    ),
    Cause.UPLOAD: Advice(
        "the server ended the connection while the body of the request was arriving",
        "count a request as in flight from its first byte, and wait for it before the process "
        "ends (lifecycle's drain does). Set a grace period that is longer than the longest upload",
    ),
    Cause.STREAM_RESET: Advice(
        "the server reset a stream that it had begun to serve",
        "send GOAWAY first, finish the streams that are open, then close",
    ),
    Cause.ABNORMAL: Advice(
        "the server dropped a WebSocket without a close frame",
        "close WebSockets with 1001 (going away) while draining, before the process ends",
    ),
    Cause.ERROR: Advice(
        "the app answered with an error while it was leaving: what it needs was closed before "
        "its last request",
        "close pools and clients after the drain, not when the signal comes",
    ),
    Cause.NO_ENDPOINT: Advice(
        "every replica the client knew of had left, and no new one had joined",
        "say ready only when it can serve; keep more than one replica",
    ),
    Cause.TIMEOUT: Advice(
        "the replica took the request and did not answer while it was leaving",
        "find out what it waits for; a queue that nobody serves any more hangs like this",
    ),
}
"""What was lost by a replica that was leaving."""

TOO_EARLY: Final[dict[Cause, str]] = {
    Cause.REFUSED: "the listener was closed before every client had heard that the endpoint is "
    "gone",
    Cause.QUEUE: "the listener closed while the connection waited in its accept queue, so no "
    "process had read the request",
    Cause.RESET: "the connection had just been accepted when the listener was closed",
    Cause.UNASKED: "the server ended a new connection before its first request came, when the "
    "listener was closed",
}
"""What was lost because the listener was closed too early."""


def advise(cause: Cause, stage: Stage, given: Circumstances, *, kept: bool) -> Advice:
    """Explain one kind of loss."""
    if stage in (Stage.STARTING, Stage.SERVING):
        return HEALTHY.get(cause, MALFORMED)
    if given.killed and cause in SEVERED_BY_SIGKILL:
        return Advice(
            "it was under way when the grace period was over and SIGKILL came",
            f"raise terminationGracePeriodSeconds (--grace {given.grace:g}) above preStop + the "
            "longest request, or end the drain sooner",
        )
    if cause is Cause.RESET and kept:
        return Advice(f"{KEPT}. {_repeated(given.method)}", _say_close(given))
    if cause is Cause.UNASKED and stage not in (Stage.CLOSED, Stage.GONE):
        return UNASKED  # its listener was open still
    if cause in TOO_EARLY:
        change = _keep_listening(given)
        if cause is Cause.QUEUE:
            change += ". Accept every connection in the queue before you close the listener"
        return Advice(TOO_EARLY[cause], change)
    late = cause is Cause.NO_ENDPOINT and given.unheard
    return _late_addition(given) if late else LEAVING.get(cause, MALFORMED)


def _late_addition(given: Circumstances) -> Advice:
    seconds = math.floor(given.joining) + 1
    return Advice(
        "a new replica was ready, but the client had not heard of it when it heard that the old "
        "ones had left",
        f"set minReadySeconds: {seconds} in the Deployment, more than the {given.joining:g} s in "
        f"which clients hear of a new replica; to try it here, add --min-ready {seconds}",
    )


def _keep_listening(given: Circumstances) -> str:
    if given.qos:
        return f"set LIFECYCLE_SETTLE to more than the propagation ({given.propagation:g} s)"
    seconds = int(given.propagation) + 3
    return (
        f"go on listening for longer than the propagation ({given.propagation:g} s): put "
        f"`lifecycle run --service NAME:PORT --` in front of the command, or add a preStop sleep "
        f"of {seconds}"
    )


def _repeated(method: str) -> str:
    if method in IDEMPOTENT:
        return f"Some client libraries send a {method} again, others do not"
    return f"No client library sends a {method} again, so the caller gets an error"


def _say_close(given: Circumstances) -> str:
    if given.qos:
        return "put lifecycle's middleware around the app: it says Connection: close from T0 on"
    return (
        "say Connection: close on every response from T0 on, and close idle connections only "
        "later: `lifecycle run --service NAME:PORT --` in front of the command does both; "
        "a preStop sleep does not help here"
    )
