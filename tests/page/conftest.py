"""One Chromium for all tests of a module, and real apps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.page.browser import Tab, chromium
from tests.process.kit import App


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    """Start it."""
    with chromium(tmp_path_factory.mktemp("profile")) as tab:
        yield tab


@pytest.fixture
def tab(browser: Tab) -> Iterator[Tab]:
    """Give its tab, in the light theme, with nothing in it; at the end, the page must be silent."""
    browser.look()
    browser.open("about:blank")
    yield browser
    assert browser.complaints() == []


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., App]]:
    """Start processes as `App.start` does, in a folder of the test's own; they end with it."""
    with ExitStack() as stack:

        def start(source_or_argv: Any, **options: Any) -> App:
            options.setdefault("cwd", tmp_path)
            return stack.enter_context(App.start(source_or_argv, **options))

        yield start
