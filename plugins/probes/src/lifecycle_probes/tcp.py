"""
The probe `tcp`, which fails if a HOST:PORT does not accept connections.

The functions are not async, so that they run in a worker thread. With a busy event loop, a
database must not look dead.
"""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass, field
from typing import NamedTuple

import lifecycle
from lifecycle_probes.network import explain
from lifecycle_probes.options import check_range, is_host, read_targets
from lifecycle_probes.side_by_side import SideBySideProbe


class Target(NamedTuple):
    """A target to connect to, with the name of its result."""

    name: str
    host: str
    port: int


@dataclass(frozen=True)
class TcpOptions:
    """
    The options `LIFECYCLE_TCP_*`.

    Raises:
        ValueError: A target is not `HOST:PORT` or `NAME=HOST:PORT`, or the timeout is out of range.
    """

    targets: tuple[str, ...] = field(
        default=(), metadata={"describe": "HOST:PORT or NAME=HOST:PORT, separated by commas."}
    )
    timeout: float = field(default=0.5, metadata={"describe": "Seconds for all targets together."})

    @property
    def enabled(self) -> bool:
        """True if the probe is on, because it has targets."""
        return bool(self.targets)

    def __post_init__(self) -> None:
        check_range("timeout", self.timeout, 0.01, 60, "seconds")
        self.keys()

    def keys(self) -> list[Target]:
        """Return the targets."""
        read = read_targets("targets", self.targets, read_target)
        return [Target(name, *where) for name, where in read.items()]


class TcpProbe(SideBySideProbe[Target]):
    """The plugin, which connects to every target."""

    def __init__(self) -> None:
        super().__init__(TcpOptions, connect, hanging="the resolver or the network hangs")


def read_target(text: str) -> tuple[str, tuple[str, int]]:
    """
    Read `HOST:PORT` or `[IPv6]:PORT`.

    Raises:
        ValueError: The text has another form.
    """
    host, _, port = text.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    bracketed = host.startswith("[") and host.endswith("]")
    good_host = is_host(bare) and not set(bare) & set("/@[] ") and (bracketed or ":" not in bare)
    good_port = port.isascii() and port.isdigit() and 0 < int(port) <= 65535
    if not good_host or not good_port:
        raise ValueError(
            f"{text!r}: must be HOST:PORT, [IPv6]:PORT or NAME=HOST:PORT, "
            "with a port from 1 to 65535"
        )
    return text, (bare, int(port))


def connect(target: Target, timeout: float) -> lifecycle.ProbeResult:
    """Connect to the addresses of a target, one after the other, and close the connection."""
    started_at = time.monotonic()
    where = f"{target.host} port {target.port}"
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except OSError as error:
        return lifecycle.ProbeResult(False, f"{where}: {explain(error)}", target.name)
    problems: dict[str, str] = {}
    for tried, (family, kind, protocol, _, address) in enumerate(found):
        left = timeout - (time.monotonic() - started_at)
        try:
            with socket.socket(family, kind, protocol) as connection:
                connection.settimeout(max(0.001, left / (len(found) - tried)))
                connection.connect(address)
        except OSError as error:
            known = address[0] == target.host
            problems["" if known else f"{address[0]} "] = explain(error)
        else:
            ms = (time.monotonic() - started_at) * 1000
            return lifecycle.ProbeResult(True, f"{where}: connected in {ms:.0f} ms", target.name)
    words = "; ".join(address + problem for address, problem in problems.items())
    return lifecycle.ProbeResult(False, f"{where}: {words}", target.name)
