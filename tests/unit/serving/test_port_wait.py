"""Waiting for a server's port: a wrong number is a warning, and not a silence for ever."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from lifecycle.log import Log
from lifecycle.serving.port_wait import until_listening
from tests.unit.virtual_time import run


class Heard(Log):
    """Keeps the warnings."""

    def __init__(self) -> None:
        super().__init__()
        self.warnings: list[tuple[str, dict[str, Any]]] = []

    def warning(self, event: str, **fields: Any) -> None:
        """Keep one."""
        self.warnings.append((event, fields))


@pytest.mark.parametrize(("after", "warnings"), [(0, 0), (3, 0), (30, 1), (300, 1)])
def test_a_port_that_stays_closed_is_a_warning(after: int, warnings: int) -> None:
    """After ten seconds it names the service and the port, once; then the wait goes on."""
    log = Heard()

    async def main() -> None:
        with socket.socket() as server:
            server.bind(("127.0.0.1", 0))
            port = server.getsockname()[1]
            asyncio.get_running_loop().call_later(after, server.listen)
            await until_listening(port, "shop", log)
            assert len(log.warnings) == warnings
            for event, said in log.warnings:
                assert event == "waiting for a port"
                assert (said["service"], said["port"]) == ("shop", port)
                assert f"nothing listens on port {port}" in said["hint"]

    run(main())


def test_the_warning_names_the_ports_that_are_open() -> None:
    """They are looked up only then, and the hint says what to compare."""
    log = Heard()

    async def main() -> None:
        with socket.socket() as server:
            server.bind(("127.0.0.1", 0))
            port = server.getsockname()[1]
            asyncio.get_running_loop().call_later(30, server.listen)
            await until_listening(port, "shop", log, elsewhere=lambda: {8202, 8201})
        ((_, said),) = log.warnings
        assert "The command listens on port 8201, 8202 instead" in said["hint"]
        assert "the port of shop" in said["hint"]

    run(main())


def test_a_wait_that_is_over_warns_no_more() -> None:
    """Who has been cancelled says nothing afterwards."""
    log = Heard()

    async def main() -> None:
        with socket.socket() as server:
            server.bind(("127.0.0.1", 0))
            port = server.getsockname()[1]
            waiting = asyncio.ensure_future(until_listening(port, "shop", log))
            await asyncio.sleep(1)
            waiting.cancel()
            await asyncio.sleep(60)

    run(main())

    assert log.warnings == []
