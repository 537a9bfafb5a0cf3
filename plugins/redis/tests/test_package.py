"""The plugin uses the public API only, and redis-py only where it is needed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import lifecycle_redis
import pytest

from tests.public_api import beyond_the_public_api

FILES = sorted(Path(str(lifecycle_redis.__file__)).parent.rglob("*.py"))
MODULES = [each.stem for each in FILES if each.stem != "__init__"]


@pytest.mark.parametrize("name", MODULES)
def test_only_the_public_api(name: str) -> None:
    """A plugin of anybody could do the same."""
    assert beyond_the_public_api(f"lifecycle_redis.{name}") == set()


def test_the_client_is_imported_only_when_it_is_used() -> None:
    """An image that has the plugin, but no URL, does not pay for redis-py."""
    code = (
        "import sys, lifecycle_redis.plugin, lifecycle_redis.registry; "
        "sys.exit('redis' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
