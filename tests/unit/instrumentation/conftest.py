"""Fixtures of the instrumentation's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.instrumentation.interpreters import Parent, parent


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Parent]:
    """Be the parent of a command."""
    with parent(tmp_path) as made:
        yield made
