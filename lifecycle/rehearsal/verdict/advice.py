"""The meaning of each kind of loss, and what to change. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

from lifecycle.links import docs_page
from lifecycle.rehearsal.measuring.losses import Cause
from lifecycle.rehearsal.replicas.replica import Stage


class Advice(NamedTuple):
    """Why requests were lost, and what to change."""

    why: str
    change: str


@dataclass(frozen=True)
class Circumstances:
    """
    The circumstances that advice depends on.

    Attributes:
        qos: Whether the app answers on the QOS port, and so runs with pod-lifecycle.
        propagation: Seconds until the last client has noticed a removal.
        grace: terminationGracePeriodSeconds.
        killed: Whether the request was lost after SIGKILL was sent to the replica.
        joining: Seconds until the last client has noticed a new replica.
        unheard: Whether a replica was ready that the client had not noticed yet.
        method: The method of the requests.
        wrapped: Whether `lifecycle run --` or `lifecycle run --asgi` starts the app. Both send
            Connection: close in a drain.
        instrumented: Whether the workers under `lifecycle run --` load the instrumentation.
    """

    qos: bool
    propagation: float
    grace: float
    killed: bool
    joining: float = 0.0
    unheard: bool = False
    method: str = "GET"
    wrapped: bool = False
    instrumented: bool = True


MALFORMED: Final = Advice(
    "the response breaks the protocol", "check the proxy or server in front of the app"
)
SEVERED: Final = Advice(
    "the server closed a connection in use, outside of any rollout",
    "find out whether it crashed. Have it keep idle connections for longer than --think",
)
KEEP_ALIVE: Final = (
    "raise the keep-alive timeout of your server above the longest idle time of your clients (here "
    f"about --think). See {docs_page('hosts.md#keep-alive-timeouts')}"
)
TIMED_OUT: Final = Advice(
    "the server closed an idle keep-alive connection while the next request was on its way, "
    "outside of any rollout",
    f"{KEEP_ALIVE}. If the server has no such timeout, find out whether it crashed",
)
UNASKED: Final = Advice(
    "the server closed a new connection before its first request arrived, because it treated the "
    "connection as idle",
    "close only connections that have had an answer, and give new connections time to send a "
    "request (lifecycle run --asgi does both)",
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
    "the server closed a keep-alive connection without Connection: close in the last response, "
    "while the next request was on its way"
)

HEALTHY: Final[dict[Cause, Advice]] = {
    Cause.REFUSED: Advice(
        "a replica was an endpoint, but no process listened on its port",
        "become ready only once the port is open. Find out whether the replica crashed",
    ),
    Cause.ERROR: Advice(
        "the app answered with an error, outside of any rollout", "read the app's own log"
    ),
    Cause.TIMEOUT: Advice(
        "the app did not answer in time, outside of any rollout",
        "the app is overloaded or hangs. Lower --rate, or raise --timeout",
    ),
    Cause.QUEUE: Advice(
        "the listener was closed before the server accepted the connection, outside of any rollout",
        "find out what closed the listener: a crash, or a restart of a worker",
    ),
    Cause.RESET: SEVERED,
    Cause.UNASKED: UNASKED,
    Cause.CUT: SEVERED,
    Cause.UPLOAD: Advice(
        "the server closed the connection while the body was arriving, outside of any rollout",
        "find out whether it crashed. Have it wait longer for a body than a client takes to send it",
    ),
    Cause.STREAM_RESET: SEVERED,
    Cause.ABNORMAL: SEVERED,
}
"""Advice for losses of a replica that was not leaving."""

LEAVING: Final[dict[Cause, Advice]] = {
    Cause.CUT: Advice(
        "the server exited while the request was in flight",
        "wait for requests in flight before the process ends (the drain of lifecycle does), and "
        "set a grace period that is longer than the longest request",
    ),
    Cause.UPLOAD: Advice(
        "the server closed the connection while the body of the request was arriving",
        "count a request as in flight from its first byte, and wait for it before the process "
        "ends (the drain of lifecycle does). Set a grace period that is longer than the longest "
        "upload",
    ),
    Cause.STREAM_RESET: Advice(
        "the server reset a stream that it had started to serve",
        "send GOAWAY first, finish the streams that are open, then close",
    ),
    Cause.ABNORMAL: Advice(
        "the server dropped a WebSocket without a close frame",
        "during the drain, close WebSockets with 1001 (going away) before the process ends",
    ),
    Cause.ERROR: Advice(
        "the app answered with an error while it was shutting down: something that it needs was "
        "closed before the last request",
        "close pools and clients after the drain, not when the signal arrives",
    ),
    Cause.NO_ENDPOINT: Advice(
        "every replica that the client knew of had left, and no new one had joined",
        "become ready only when the app can serve, and run more than one replica",
    ),
    Cause.TIMEOUT: Advice(
        "the replica accepted the request, and did not answer while it was shutting down",
        "find out what the app waits for, for example a queue whose worker has ended",
    ),
}
"""Advice for losses of a replica that was leaving."""

TOO_EARLY: Final[dict[Cause, str]] = {
    Cause.REFUSED: "the listener was closed before every client had noticed that the "
    "endpoint is gone",
    Cause.QUEUE: "the listener closed while the connection waited in its accept queue, so no "
    "process had read the request",
    Cause.RESET: "the connection had just been accepted when the listener was closed",
    Cause.UNASKED: "the server closed a new connection before its first request arrived, when the "
    "listener was closed",
}
"""Reasons for losses because the listener was closed too early."""


def advise(cause: Cause, stage: Stage, given: Circumstances, *, kept: bool) -> Advice:
    """Explain one kind of loss."""
    if stage in (Stage.STARTING, Stage.SERVING):
        timed_out = kept and cause is Cause.RESET
        return TIMED_OUT if timed_out else HEALTHY.get(cause, MALFORMED)
    if given.killed and cause in SEVERED_BY_SIGKILL:
        return Advice(
            "the request was in flight when the grace period ended and SIGKILL arrived",
            f"raise terminationGracePeriodSeconds (--grace {given.grace:g}) above preStop + the "
            "longest request, or end the drain sooner",
        )
    if cause is Cause.RESET and kept:
        return Advice(f"{KEPT}. {_repeated(given.method)}", _say_close(given))
    if cause is Cause.UNASKED and stage not in (Stage.CLOSED, Stage.GONE):
        return UNASKED  # its listener was still open
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
        "a new replica was ready, but the client noticed it only after it had noticed that the "
        "old replicas were gone",
        f"set minReadySeconds: {seconds} in the Deployment, more than the {given.joining:g} s in "
        f"which clients notice a new replica. To try it here, add --min-ready {seconds}",
    )


def _keep_listening(given: Circumstances) -> str:
    if given.qos:
        return f"set LIFECYCLE_SETTLE to more than the propagation ({given.propagation:g} s)"
    seconds = int(given.propagation) + 3
    return (
        f"keep listening for longer than the propagation ({given.propagation:g} s). Put "
        f"`lifecycle run --service NAME:PORT --` in front of the command, or add a preStop sleep "
        f"of {seconds}"
    )


def _repeated(method: str) -> str:
    if method in IDEMPOTENT:
        return f"Some client libraries send a {method} again, others do not"
    return f"No client library sends a {method} again, so the caller gets an error"


def _say_close(given: Circumstances) -> str:
    if given.qos and given.wrapped and not given.instrumented:
        return "remove --instrument=no. Each response of a drain then has Connection: close"
    if given.qos and given.wrapped:
        return (
            f"{KEEP_ALIVE}. If the timeout is longer already, set LIFECYCLE_SETTLE to more than "
            f"the idle time and the propagation ({given.propagation:g} s)"
        )
    if given.qos:
        return "put lifecycle.asgi.Middleware around the app. It sends Connection: close in a drain"
    return (
        "send Connection: close in every response of the drain, and close idle connections only "
        "later. `lifecycle run --service NAME:PORT --` in front of the command does both. "
        "A preStop sleep does not help here"
    )
