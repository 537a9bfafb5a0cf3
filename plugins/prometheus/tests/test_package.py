"""The distribution as it is installed, and what its README says."""

from __future__ import annotations

import dataclasses
import pkgutil
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import lifecycle_prometheus
import pytest
from lifecycle_prometheus.plugin import PrometheusOptions
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.public_api import beyond_the_public_api

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
MODULES = [each.name for each in pkgutil.iter_modules(lifecycle_prometheus.__path__)]


def test_the_entry_point_is_the_plugins_name() -> None:
    """So its options are LIFECYCLE_PROMETHEUS_*."""
    points = metadata.distribution("lifecycle-prometheus").entry_points
    mine = points.select(group="lifecycle")

    assert [point.name for point in mine] == ["prometheus"]


def test_what_it_needs() -> None:
    """The official library, and nothing else."""
    needed = map(Requirement, metadata.requires("lifecycle-prometheus") or ())

    names = sorted(canonicalize_name(each.name) for each in needed)
    assert names == ["pod-lifecycle", "prometheus-client"]


def test_the_start_of_an_app_does_not_import_the_library() -> None:
    """Only the app's own metrics need it: it takes longer than everything else of ours."""
    code = (
        "import sys\n"
        "from importlib.metadata import entry_points\n"
        "[point.load() for point in entry_points(group='lifecycle', name='prometheus')]\n"
        "print('prometheus_client' in sys.modules)"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=True
    )

    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("name", MODULES)
def test_only_the_public_api_is_used(name: str) -> None:
    """A third party can copy any of it: `import lifecycle`, and the names it gives."""
    assert beyond_the_public_api(f"lifecycle_prometheus.{name}") == set()


def test_every_option_is_in_the_table_with_its_default() -> None:
    """No more, no fewer."""
    told = dict(re.findall(r"^\| `(LIFECYCLE_[A-Z_]+)` \| (\S*) \|", README, re.MULTILINE))
    real = {
        f"LIFECYCLE_PROMETHEUS_{each.name.upper()}": str(each.default).lower()
        for each in dataclasses.fields(PrometheusOptions)
    }

    assert told == real
