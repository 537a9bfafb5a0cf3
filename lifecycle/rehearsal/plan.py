"""The plan of a rehearsal: the options of the command, checked. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Self

from lifecycle.checks.commands.lifecycle_run import lifecycle_run
from lifecycle.rehearsal.errors import CannotRehearse
from lifecycle.testing.endpoints import JOIN_SHARE


class Protocol(StrEnum):
    """The protocol of a client. HTTP/2 is used with prior knowledge."""

    HTTP1 = "http1"
    HTTP2 = "http2"
    WEBSOCKET = "websocket"


@dataclass(frozen=True)
class Traffic:
    """
    The requests of the load generator.

    Args:
        rate: Requests per second on new connections. Open loop: each one is sent when it is due,
            however long the answers take.
        clients: The number of clients. Each has its own view of the endpoints.
        kept: The share of clients that keep their connection. Closed loop: the next request
            follows the last answer.
        think: Average seconds that a keep-alive connection is idle before its next request.
        busy: The share of keep-alive connections that are never idle.
        paths: The paths to request, chosen at random.
        slow: A path whose response takes long.
        slow_share: The share of requests that ask for the slow path.
        method: The method of every HTTP request, or None for POST if there is a body, else GET.
        body_size: Bytes of each request's body.
        body_seconds: Seconds in which a client sends a body, or 0 for as fast as possible.
        protocols: The protocols, assigned to the clients in turn.
        timeout: Seconds for a whole response.
        rtt: Seconds of the network's round trip. When a request arrives, what the client has seen
            of its connection is this old.
        first_after: More seconds between connecting and the first request.
        propagation: Seconds until the last client has noticed that an endpoint is gone.
        propagation_in: Seconds until the last client has noticed a new endpoint, or None for a
            tenth of `propagation`.
        processes: The number of processes, or 0 for as many as the rate needs.
        seed: The seed of the random choices, so that every run makes the same ones.
    """

    rate: float = 100.0
    clients: int = 40
    kept: float = 0.5
    think: float = 1.0
    busy: float = 0.3
    paths: tuple[str, ...] = ("/",)
    slow: str | None = None
    slow_share: float = 0.01
    method: str | None = None
    body_size: int = 0
    body_seconds: float = 0.0
    protocols: tuple[Protocol, ...] = (Protocol.HTTP1,)
    timeout: float = 10.0
    rtt: float = 0.002
    first_after: float = 0.0
    propagation: float = 2.0
    propagation_in: float | None = None
    processes: int = 0
    seed: int = 1

    def __post_init__(self) -> None:
        _positive("--rate", self.rate)
        _positive("--timeout", self.timeout)
        _share("--kept", self.kept)
        _share("--busy", self.busy)
        _share("--slow-share", self.slow_share)
        _not_negative("--think", self.think)
        _not_negative("--rtt", self.rtt)
        _not_negative("--first-after", self.first_after)
        _not_negative("--body-seconds", self.body_seconds)
        _not_negative("--propagation", self.propagation)
        _not_negative("--propagation-in", self.joining)
        if self.clients < 1:
            raise CannotRehearse(f"--clients {self.clients}: must be at least 1")
        if self.processes < 0:
            raise CannotRehearse(f"--processes {self.processes}: must be at least 0")
        for path in self.paths:
            _path("--path", path)
        if self.slow is not None:
            _path("--slow", self.slow)
        self._check_requests()

    def _check_requests(self) -> None:
        method = self.method or ""
        if self.method is not None and not (
            method.isascii() and method.isalpha() and method.isupper()
        ):
            shown = method or "''"
            raise CannotRehearse(f"--method {shown}: must be in capital letters, for example POST")
        if method == "CONNECT":
            raise CannotRehearse("--method CONNECT: cannot be rehearsed, because it opens a tunnel")
        if self.body_size < 0:
            raise CannotRehearse(f"--body-size {self.body_size}: must be at least 0")
        if self.body_seconds and not self.body_size:
            raise CannotRehearse(f"--body-seconds {self.body_seconds:g}: also needs --body-size")
        if self.body_seconds >= self.timeout:
            raise CannotRehearse(
                f"--body-seconds {self.body_seconds:g}: must be less than --timeout "
                f"({self.timeout:g} s), which covers the whole request"
            )
        if (self.method or self.body_size) and set(self.protocols) == {Protocol.WEBSOCKET}:
            option = f"--method {method}" if method else f"--body-size {self.body_size}"
            raise CannotRehearse(
                f"{option}: over WebSocket, each request is a ping. Add --protocol http1 or http2"
            )

    @property
    def verb(self) -> str:
        """The method of every HTTP request."""
        return self.method or ("POST" if self.body_size else "GET")

    @property
    def joining(self) -> float:
        """Seconds until the last client has noticed a new endpoint."""
        if self.propagation_in is None:
            return self.propagation * JOIN_SHARE
        return self.propagation_in

    @property
    def keepers(self) -> int:
        """The number of clients that keep their connection."""
        return round(self.clients * self.kept)

    def to_json(self) -> dict[str, Any]:
        """Return the value that `from_json` takes."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        """Make the traffic from the value of `to_json`."""
        tuples = {
            "paths": tuple(fields["paths"]),
            "protocols": tuple(Protocol(each) for each in fields["protocols"]),
        }
        return cls(**{**fields, **tuples})


@dataclass(frozen=True)
class Plan:
    """
    The plan of a rehearsal.

    Args:
        command: The command that starts the app. `{port}` in it stands for the app's port.
        traffic: The load during the rehearsal.
        rollouts: The number of rollouts. Each one replaces every replica.
        replicas: The number of replicas.
        prestop: `none`, `exec`, `http`, `sleep:SECONDS` or a command, or None for `exec` if the
            app answers on the QOS port, else `none`.
        ready: A path on the app's own port that answers below 400 when the app is ready. `qos`:
            the QOS port, however long it takes to open. None: the QOS port if it is open once
            the app's port is open, else the open port itself.
        grace: terminationGracePeriodSeconds.
        start_time: Seconds in which a replica must become ready.
        pause: Seconds of load between two rollouts.
        min_ready: minReadySeconds: how long a new replica must have been ready, without a break,
            before an old one is deleted.
        cwd: The working directory of the command.
        env: Variables to add to the environment. `{port}` in them stands for the app's port.
    """

    command: tuple[str, ...]
    traffic: Traffic = field(default_factory=Traffic)
    rollouts: int = 1
    replicas: int = 2
    prestop: str | None = None
    ready: str | None = None
    grace: float = 30.0
    start_time: float = 60.0
    pause: float = 0.0
    min_ready: float = 0.0
    cwd: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)

    @property
    def names_port(self) -> bool:
        """
        Whether `{port}` is in the command or in `env`. Otherwise the app must read `PORT`.

        The names and ports of services do not count, because they do not open a port.
        """
        said = [text for name, text in self.env.items() if name != "LIFECYCLE_SERVICES"]
        words = re.sub(r"--service[=\s\0][^\s\0]*", "", "\0".join(self.command))
        return any("{port}" in text for text in (words, *said))

    @property
    def is_tried(self) -> bool:
        """Whether the command is started once before the rehearsal, to see which ports it opens."""
        return not (self.ready == "qos" and self.names_port)

    @property
    def is_wrapped(self) -> bool:
        """Whether `lifecycle run --` or `lifecycle run --asgi` starts the app."""
        run = lifecycle_run(self.command)
        return run is not None and (bool(run.command) or "--asgi" in run.options)

    @property
    def is_instrumented(self) -> bool:
        """Whether the command lets the workers under `lifecycle run --` load the instrumentation."""
        run = lifecycle_run(self.command)
        return run is None or not run.without_instrumentation

    def __post_init__(self) -> None:
        if not self.command:
            raise CannotRehearse("no command: write lifecycle rehearse [OPTIONS] -- COMMAND…")
        _positive("--grace", self.grace)
        _positive("--start-time", self.start_time)
        _not_negative("pause", self.pause)
        _not_negative("--min-ready", self.min_ready)
        for name in ("rollouts", "replicas"):
            if getattr(self, name) < 1:
                raise CannotRehearse(f"--{name} {getattr(self, name)}: must be at least 1")
        if self.ready is not None and self.ready != "qos" and not self.ready.startswith("/"):
            raise CannotRehearse(f"--ready {self.ready}: must be a path that starts with /, or qos")
        if self.ready not in (None, "qos"):
            _path("--ready", self.ready)


def _positive(name: str, value: float) -> None:
    if not 0 < value < math.inf:
        raise CannotRehearse(f"{name} {value:g}: must be a number greater than 0")


def _not_negative(name: str, value: float) -> None:
    if not 0 <= value < math.inf:
        raise CannotRehearse(f"{name} {value:g}: must be a number of at least 0")


def _share(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise CannotRehearse(f"{name} {value:g}: must be a number from 0 to 1")


def _path(name: str, path: str) -> None:
    if not path.startswith("/") or not all("!" <= char <= "~" for char in path):
        raise CannotRehearse(
            f"{name} {path}: must start with /, and have only ASCII characters without blanks (write others as %20)"
        )
