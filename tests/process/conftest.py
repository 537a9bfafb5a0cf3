"""Fixtures of the tests with real processes."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.process.kit import App
from tests.process.lookout import ENV, SERVICE, unharmed


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """Serve one service, which all tests of a module leave online."""
    with App.start(SERVICE, cwd=tmp_path_factory.mktemp("access"), env=ENV) as app:
        app.wait_state("ready")
        yield app
        assert "Traceback" not in app.stderr, app.stderr
        assert unharmed(app)


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    """Let this process, the crowd, have them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., App]]:
    """Start processes as `App.start` does, in a folder of the test's own; they end with it."""
    with ExitStack() as stack:

        def start(source_or_argv: Any, **options: Any) -> App:
            options.setdefault("cwd", tmp_path)
            return stack.enter_context(App.start(source_or_argv, **options))

        yield start
