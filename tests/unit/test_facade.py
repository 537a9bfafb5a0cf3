"""The façade: the whole public API, documented, and light to import."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import lifecycle

ROOT = lifecycle.__file__.removesuffix("/lifecycle/__init__.py")
HEAVY = {
    "anyio",
    "argparse",
    "asyncio",
    "dataclasses",
    "h11",
    "hypercorn",
    "importlib.metadata",
    "inspect",
    "ipaddress",
    "json",
    "logging",
    "pathlib",
    "pluggy",
    "re",
    "socket",
    "ssl",
    "structlog",
    "subprocess",
    "tabulate",
    "tempfile",
    "tenacity",
    "threading",
    "typing",
    "urllib",
}


def test_every_name_has_a_home() -> None:
    """`__all__`, `dir` and the table of homes name the same things, each once."""
    assert set(lifecycle._HOME) == set(lifecycle.__all__)
    assert len(lifecycle.__all__) == len(set(lifecycle.__all__))
    assert sorted(dir(lifecycle)) == sorted(lifecycle.__all__)


@pytest.mark.parametrize("name", lifecycle.__all__)
def test_every_name_resolves_and_is_documented(name: str) -> None:
    """Every public name is there, is the same thing each time, and says in a line what it is."""
    value = getattr(lifecycle, name)
    assert getattr(lifecycle, name) is value
    if name in ("__version__", "hookimpl"):
        return
    assert value.__module__.startswith("lifecycle.")
    first = inspect.getdoc(value).splitlines()[0]
    assert first.strip()
    assert value.__doc__ != dict.__doc__


@pytest.mark.parametrize("name", lifecycle.__all__)
def test_every_public_method_is_documented(name: str) -> None:
    """So does every public method of a public class, here or where it is defined."""
    value = getattr(lifecycle, name)
    if not inspect.isclass(value):
        return
    for each, member in vars(value).items():
        if not each.startswith("_") and (inspect.isroutine(member) or isinstance(member, property)):
            assert inspect.getdoc(getattr(value, each)), each


def test_an_unknown_name() -> None:
    """A misspelt name is an AttributeError that names it."""
    with pytest.raises(AttributeError, match="'lifecycle' has no attribute 'Lifecicle'"):
        lifecycle.Lifecicle  # noqa: B018 - looking is the test


@pytest.mark.parametrize("module", ["lifecycle", "lifecycle.cli.prestop", "lifecycle.cli.probe"])
def test_what_a_prestop_imports(module: str) -> None:
    """`lifecycle prestop` runs on a tenth of a core: it imports next to nothing."""
    source = (
        f"import sys; sys.path.insert(0, {ROOT!r}); before = set(sys.modules); import {module}; "
        "print(*sorted(set(sys.modules) - before))"
    )
    ran = subprocess.run(
        [sys.executable, "-S", "-E", "-c", source],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    imported = set(ran.stdout.split())
    assert imported & HEAVY == set()
    assert len(imported - {"importlib", "_socket"}) <= 20, imported
