"""The distribution as it is installed, and what its README says."""

from __future__ import annotations

import dataclasses
import pkgutil
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import lifecycle_opentelemetry
import pytest
from lifecycle_opentelemetry.options import OpenTelemetryOptions
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.public_api import beyond_the_public_api

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
MODULES = [each.name for each in pkgutil.iter_modules(lifecycle_opentelemetry.__path__)]


def test_the_entry_point_is_the_plugins_name() -> None:
    """So its options are LIFECYCLE_OPENTELEMETRY_*."""
    points = metadata.distribution("lifecycle-opentelemetry").entry_points
    mine = points.select(group="lifecycle")

    assert [point.name for point in mine] == ["opentelemetry"]


def test_what_it_needs() -> None:
    """The API and the SDK. The user chooses the exporters."""
    needed = map(Requirement, metadata.requires("lifecycle-opentelemetry") or ())

    names = sorted(canonicalize_name(each.name) for each in needed)
    assert names == ["opentelemetry-api", "opentelemetry-sdk", "pod-lifecycle"]


def test_the_start_of_an_app_does_not_import_the_library() -> None:
    """It takes longer than everything else of ours."""
    code = (
        "import sys\n"
        "from importlib.metadata import entry_points\n"
        "[point.load() for point in entry_points(group='lifecycle', name='opentelemetry')]\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=True
    )

    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", MODULES)
def test_only_the_public_api_is_used(name: str) -> None:
    """A third party can copy any of it: `import lifecycle`, and the names it gives."""
    assert beyond_the_public_api(f"lifecycle_opentelemetry.{name}") == set()


def test_every_option_is_in_the_table_with_its_default() -> None:
    """No more, no fewer."""
    told = dict(re.findall(r"^\| `(LIFECYCLE_[A-Z_]+)` \| (\S*) \|", README, re.MULTILINE))
    real = {
        f"LIFECYCLE_OPENTELEMETRY_{each.name.upper()}": str(each.default).lower()
        for each in dataclasses.fields(OpenTelemetryOptions)
    }

    assert told == real
