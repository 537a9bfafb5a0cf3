"""The contracts of import-linter can be broken: a copy of the core gets one import too many for each."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
    "contracts"
]
FOR_TYPES = "\nTYPE_CHECKING = False\nif TYPE_CHECKING:\n    import {}\n"

# The module that gets it, the import, and what is said of it.
FAULTS = {
    "an upper line may import a lower one only": (
        "states",
        "lifecycle.runtime",
        "lifecycle.states -> lifecycle.runtime",
    ),
    "no circle, at any depth": (
        "qos.access",
        "lifecycle.qos.routes",
        "No cycles are allowed in lifecycle.qos.",
    ),
    "only one file knows pluggy": ("states", "pluggy", "lifecycle.states -> pluggy"),
    "few know uvicorn, hypercorn, h2 and wsproto": (
        "states",
        "h2",
        "lifecycle.states -> h2",
    ),
}

# Within a room the lowest one knows the highest one.
for each in CONTRACTS:
    for room in each.get("containers", ()):
        highest, lowest = (f"{room}.{each['layers'][end].split(' : ')[0]}" for end in (0, -1))
        line = f"{lowest} -> {highest}"
        FAULTS[each["name"]] = (lowest.removeprefix("lifecycle."), highest, line)


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Break all contracts in a copy, and return what import-linter says there."""
    copy = tmp_path_factory.mktemp("copy")
    shutil.copytree(ROOT / "lifecycle", copy / "lifecycle")
    shutil.copy(ROOT / "pyproject.toml", copy)
    for module, imported, _ in FAULTS.values():
        path = copy / "lifecycle" / module.replace(".", "/")
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        with path.open("a") as file:
            file.write(FOR_TYPES.format(imported))
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-logo", "--no-cache"],
        cwd=copy,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 1, done.stdout
    return done.stdout


@pytest.mark.parametrize("contract", [each["name"] for each in CONTRACTS])
def test_a_contract_that_is_broken(said: str, contract: str) -> None:
    """An import for types is an import, and what breaks the contract is named."""
    assert f"{contract} BROKEN" in said
    assert FAULTS[contract][2] in said
