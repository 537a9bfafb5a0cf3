"""Making a main ready that knows nothing of us, while it is told to go."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from lifecycle.config import Config
from lifecycle.process.command.services import make_ready as of_a_command
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
