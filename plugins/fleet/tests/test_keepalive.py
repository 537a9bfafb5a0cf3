"""A watch notices that the machine of the API server is gone without a word."""

from __future__ import annotations

import asyncio
import socket
from contextlib import aclosing
from pathlib import Path

from lifecycle_fleet.cluster import keepalive
from lifecycle_fleet.cluster.api import connected
from lifecycle_fleet.cluster.keepalive import notice_death
from lifecycle_fleet.cluster.kinds import POD

from plugins.fleet.tests import pods
from plugins.fleet.tests.api_server import LATEST, ApiServer


def test_the_connection_of_a_watch_is_checked(api: ApiServer, kubeconfig: Path) -> None:
    """By the kernel, after 15 s of silence. Other connections are left as they are."""
    before = {each for each in _timers(api.port) if each == "02"}

    async def watch() -> set[str]:
        async with (
            asyncio.timeout(LATEST),
            connected(str(kubeconfig), "") as client,
            aclosing(client.watch(POD, "1", "shop")) as changes,
        ):
            api.put("pods", pods.pod("a"))
            await anext(changes)
            return set(_timers(api.port))

    assert not before
    assert "02" in asyncio.run(watch())


def _timers(port: int) -> list[str]:
    """Return the timer of each connection to a port: `02` is keepalive (proc(5), net/tcp)."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return [row[5].partition(":")[0] for row in rows if row[2].endswith(f":{port:04X}")]


def test_the_times() -> None:
    """A connection is lost after 30 s."""
    with socket.socket() as sock:
        notice_death(sock)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 15
    assert keepalive.IDLE + keepalive.EVERY * keepalive.MOST == 30


def test_no_socket() -> None:
    """As of a proxy: nothing happens."""
    notice_death(None)
