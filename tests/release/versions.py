"""Which distributions there are, and of which version."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from lifecycle.version import VERSION
from tests.release.building import ROOT, projects


def pyproject(folder: Path) -> dict[str, Any]:
    """Read the pyproject.toml of one distribution."""
    return tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))


def distributions() -> list[str]:
    """Return `DISTRIBUTION:PACKAGE:VERSION` of each."""
    found = []
    for folder in projects(ROOT):
        settings = pyproject(folder)
        package = Path(settings["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"][0]).name
        found.append(f"{settings['project']['name']}:{package}:{VERSION}")
    return found
