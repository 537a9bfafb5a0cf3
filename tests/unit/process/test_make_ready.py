"""Making a main ready that knows nothing of us, while it is told to go."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from lifecycle.config import Config
from lifecycle.process.command.services import make_ready as of_a_command
from lifecycle.process.command.services import ports_of_the_command
from lifecycle.process.unmodified_main import make_ready as of_an_app
from lifecycle.runtime import Lifecycle

WAYS: dict[str, Callable[[Lifecycle, Callable[[str], None]], Awaitable[None]]] = {
    "an app": of_an_app,
    "a command": lambda life, fail: of_a_command(life, [], fail, None),
}


@pytest.mark.parametrize("way", WAYS)
def test_told_to_go_before_it_is_ready(way: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A drain that begins first is no failure, and nothing is shown of it."""
    failed: list[Any] = []

    async def main() -> None:
        async with Lifecycle(Config(qos_enabled=False, settle=0, quiet=0)) as life:
            life.begin_drain("the test")
            await WAYS[way](life, failed.append)

    asyncio.run(main())

    assert not failed
    assert "Draining" not in capsys.readouterr().err


LISTENS = """
import socket, sys
with socket.create_server(("127.0.0.1", 0)) as server:
    print(server.getsockname()[1], flush=True)
    sys.stdin.read()
"""
STARTS = "import subprocess, sys\nsubprocess.run([sys.executable, '-c', sys.argv[1]])"


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_the_ports_of_a_command() -> None:
    """A worker's port counts, and no port of another program."""
    command = [sys.executable, "-c", STARTS, LISTENS]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        port = int(child.stdout.readline())
        assert port in ports_of_the_command()
        child.communicate()
    assert port not in ports_of_the_command()
