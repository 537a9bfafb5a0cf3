"""A receiver, and real processes that export to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from plugins.opentelemetry.tests.receiver import Receiver, receiver

if TYPE_CHECKING:
    from tests.process.kit import App


@pytest.fixture
def collector() -> Iterator[Receiver]:
    """A receiver of OTLP, over HTTP and gRPC."""
    with receiver() as found:
        yield found


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., App]]:
    """Start a process as `App.start` does, and end it."""
    from tests.process.kit import App  # here: tests/conftest.py has its assertions rewritten

    with ExitStack() as stack:
        yield lambda source_or_argv, **how: stack.enter_context(
            App.start(source_or_argv, **{"cwd": tmp_path} | how)
        )
