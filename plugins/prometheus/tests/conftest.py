"""A real lifecycle in the test's own loop, and real processes."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import lifecycle
from plugins.prometheus.tests.scraping import LIMIT

if TYPE_CHECKING:
    from tests.process.kit import App

Scenario = Callable[[lifecycle.Lifecycle], Awaitable[None]]


@pytest.fixture
def variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Set variables, `set(LIFECYCLE_PROMETHEUS_LEVEL="private")`; there are no others of ours."""
    for name in [name for name in os.environ if name.startswith(("LIFECYCLE_", "PROMETHEUS_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("LIFECYCLE_RUN_DIR", str(tmp_path))

    def put(**values: object) -> None:
        for name, value in values.items():
            monkeypatch.setenv(name, str(value))

    return put


@pytest.fixture
def play(variables: Callable[..., None]) -> Callable[..., None]:
    """Play a scenario under a real lifecycle: `play(scenario, settle=1)`."""

    def run(scenario: Scenario, **settings: Any) -> None:
        async def main() -> None:
            config = lifecycle.Config(**{"qos_port": 0, "settle": 0, "quiet": 0} | settings)
            async with asyncio.timeout(LIMIT), lifecycle.Lifecycle(config) as life:
                await scenario(life)

        asyncio.run(main())

    return run


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., App]]:
    """Start a process as `App.start` does, and end it."""
    from tests.process.kit import App  # here: tests/conftest.py has its assertions rewritten

    with ExitStack() as stack:
        yield lambda source_or_argv, **how: stack.enter_context(
            App.start(source_or_argv, **{"cwd": tmp_path} | how)
        )
