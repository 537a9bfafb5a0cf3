"""Fixtures of the tests with real servers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.hosts.rolling import SERVED, a_port, end
from tests.process.kit import App


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., App]]:
    """Start `python ARGV`, with short times, in a folder of the test's own."""
    with ExitStack() as stack:

        def start(*argv: str, **env: str) -> App:
            full = {
                "PORT": str(a_port()),
                "LIFECYCLE_QOS_PORT": str(a_port()),
                "LIFECYCLE_SETTLE": "0.7",
                "LIFECYCLE_QUIET": "0.2",
                "PYTHONPATH": str(SERVED),
                **env,
            }
            words = [each.format(port=full["PORT"]) for each in argv]
            app = App.start(words, env=full, cwd=tmp_path)
            stack.callback(end, app)
            return app

        yield start
