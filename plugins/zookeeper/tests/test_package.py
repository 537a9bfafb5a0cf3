"""The plugin uses the public API only, and kazoo only where it is needed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import lifecycle_zookeeper
import pytest

from tests.public_api import beyond_the_public_api

FILES = sorted(Path(str(lifecycle_zookeeper.__file__)).parent.rglob("*.py"))
MODULES = [each.stem for each in FILES if each.stem != "__init__"]


@pytest.mark.parametrize("name", MODULES)
def test_only_the_public_api(name: str) -> None:
    """A plugin of anybody could do the same."""
    assert beyond_the_public_api(f"lifecycle_zookeeper.{name}") == set()


def test_the_client_is_imported_only_when_it_is_used() -> None:
    """An image that has the plugin, but no URL, does not pay for kazoo."""
    code = (
        "import sys, lifecycle_zookeeper.plugin, lifecycle_zookeeper.registry; "
        "sys.exit('kazoo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
