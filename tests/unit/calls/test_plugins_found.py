"""Finding plugins: what the configuration names, and what is installed."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lifecycle import hookspecs
from lifecycle.calls.plugins import Plugins
from lifecycle.exceptions import PluginError
from lifecycle.hookspecs import hookimpl
from lifecycle.settings import Settings

Install = Callable[..., None]

FINE = """
import lifecycle

@lifecycle.hookimpl
def lifecycle_readiness():
    return True
"""


def plugins(*words: str, **environ: str) -> Plugins:
    """Make the plugins of a config whose `plugins` are these words."""
    return Plugins(hookspecs, Settings(plugins=words), environ)


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Install distributions whose entry points are these, beside what is installed already."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = set(sys.modules)

    def install(source: str, *entries: str, module: str = "") -> None:
        module = module or f"their_{len(list(tmp_path.iterdir()))}"
        (tmp_path / f"{module}.py").write_text(source)
        info = tmp_path / f"{module}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        lines = [f"{entry} = {module}" if "=" not in entry else entry for entry in entries]
        (info / "entry_points.txt").write_text("[lifecycle]\n" + "\n".join(lines) + "\n")

    monkeypatch.setattr(sys, "path_importer_cache", {})
    yield install
    for name in set(sys.modules) - before:
        if name.startswith("their_"):
            del sys.modules[name]


class Fine:
    """Has a hook, and takes a part of what it is offered."""

    @hookimpl
    def lifecycle_transition(self, transition: object) -> None:
        """Take the transition, not the life."""


def test_a_module_named_in_the_config(install: Install) -> None:
    """A module that the config names is loaded, under that name."""
    install(FINE, module="their_named")
    loaded = plugins("their_named")
    loaded.discover()
    assert "their_named" in loaded.names


@pytest.mark.parametrize(
    ("source", "problem"),
    [("import nowhere_at_all", "ModuleNotFoundError"), ("1/0", "ZeroDivisionError"), ("(", "Syn")],
)
def test_a_named_module_that_does_not_import(install: Install, source: str, problem: str) -> None:
    """Who asks for a plugin by name and cannot have it gets an error, not an app without it."""
    install(source, module="their_broken")
    with pytest.raises(PluginError, match=f"plugin 'their_broken' cannot be imported: {problem}"):
        plugins("their_broken").discover()


def test_a_named_module_that_is_not_there() -> None:
    """The same if there is no such module."""
    with pytest.raises(PluginError, match="'their_absent' cannot be imported: ModuleNotFoundError"):
        plugins("their_absent").discover()


def test_installed_plugins_are_sorted_by_name(install: Install) -> None:
    """Whatever order distributions are found in: entry points are loaded by name."""
    for name in ("zz_z", "zz_a", "zz_k"):
        install(FINE, name)
    loaded = plugins()
    loaded.discover()
    found = [each.plugin for each in loaded.implementations("lifecycle_readiness")]
    assert [name for name in found if name.startswith("zz_")] == ["zz_a", "zz_k", "zz_z"]
    assert found == sorted(found)


def test_an_installed_plugin_that_does_not_import(install: Install) -> None:
    """It is a named failure, and stops nobody."""
    install("import nowhere_at_all", "zz_broken")
    install("class Plugin:\n    def __init__(self): raise OSError('disk')", "zz_b = their_x:Plugin")
    install(FINE, "zz_fine")
    loaded = plugins()
    loaded.discover()
    assert "zz_fine" in loaded.names
    assert "ModuleNotFoundError: No module named 'nowhere_at_all'" in loaded.failed["zz_broken"]
    assert "zz_b" in loaded.failed
    assert not {"zz_broken", "zz_b"} & set(loaded.names)


def test_an_installed_plugin_may_be_a_class(install: Install) -> None:
    """An entry point may name a class; it is called."""
    source = "import lifecycle\nclass P:\n @lifecycle.hookimpl\n def lifecycle_readiness(self): ..."
    install(source, "zz_class = their_class:P", module="their_class")
    loaded = plugins()
    loaded.discover()
    assert "zz_class" in loaded.names


def test_an_installed_plugin_with_a_misspelt_hook(install: Install) -> None:
    """It imports, but it is written wrongly: that is an error at start."""
    install(FINE.replace("readiness", "rediness"), "zz_wrong")
    with pytest.raises(PluginError, match="'zz_wrong' has a hook 'lifecycle_rediness'"):
        plugins().discover()


def test_a_disabled_installed_plugin_is_not_imported(install: Install) -> None:
    """`no:NAME` spares even its import."""
    install("raise SystemExit('imported')", "zz_fatal")
    loaded = plugins("no:zz_fatal")
    loaded.discover()
    assert "zz_fatal" not in {*loaded.names, *loaded.failed}


def test_an_installed_plugin_whose_name_is_taken(install: Install) -> None:
    """It is a named failure: nobody is left out in silence."""
    install(FINE, "zz_taken")
    loaded = plugins()
    loaded.add(Fine(), "zz_taken")
    loaded.discover()
    assert "another plugin has this name" in loaded.failed["zz_taken"]


def test_a_package_that_is_found_twice(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two folders that have it, as a layer over an image may, give one plugin, and no failure."""
    install(FINE, "zz_twice", module="their_twice")
    over = tmp_path / "over"
    shutil.copytree(tmp_path / "their_twice-1.0.dist-info", over / "their_twice-1.0.dist-info")
    monkeypatch.syspath_prepend(str(over))
    loaded = plugins()
    loaded.discover()
    assert "zz_twice" in loaded.names
    assert loaded.failed == {}
