"""Fixtures of the tests that need no process of their own."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

settings.register_profile("unit", max_examples=60, deadline=None)
settings.load_profile("unit")


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no variable of the machine be read as a setting."""
    for name in list(os.environ):
        if name.startswith(("LIFECYCLE_", "POD_")):
            monkeypatch.delenv(name)


@pytest.fixture
def stuck() -> Iterator[asyncio.SelectorEventLoop]:
    """Give a loop that does not run: an app's that is stuck."""
    loop = asyncio.SelectorEventLoop()
    yield loop
    loop.close()
