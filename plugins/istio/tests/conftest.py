"""A sidecar, and processes beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from plugins.istio.tests.pilot_agent import PilotAgent
from tests.process.providers import DIRECTORY

if TYPE_CHECKING:
    from tests.process.kit import App

APP = f"""{DIRECTORY}
import logging

async def main(life):
    print("main begins", flush=True)
    life.export("orders", port=int(os.environ["PORT"]))
    await life.ready()
    if "FAILS" in os.environ:
        raise ValueError("no luck")
    if "CODE" not in os.environ:
        await life.drained()
    print("main ends", flush=True)
    return int(os.environ.get("CODE", 0))

logging.basicConfig(level="INFO")
lifecycle.run(main, plugins=[Plugin()])
"""


@pytest.fixture
def agent() -> Iterator[PilotAgent]:
    """A sidecar that is not ready yet."""
    with PilotAgent() as agent:
        yield agent


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., App]]:
    """Start an app with options of the plugin, `wait="true"`; other variables by `env`."""
    from tests.process.kit import QUICK, App  # here: tests/conftest.py has its assertions rewritten

    with ExitStack() as stack:

        def start(
            source: str | list[str] = APP, env: dict[str, str] | None = None, **options: str
        ) -> App:
            told = {f"LIFECYCLE_ISTIO_{name.upper()}": value for name, value in options.items()}
            full = QUICK | told | (env or {})
            return stack.enter_context(App.start(source, cwd=tmp_path, env=full))

        yield start
