"""`lifecycle plugins`: lists the plugins that this environment would give an app."""

from __future__ import annotations

import argparse
import os

from lifecycle import hookspecs
from lifecycle.calls.plugins import Plugins
from lifecycle.cli.console import USAGE, fail
from lifecycle.exceptions import LifecycleError
from lifecycle.plain import table
from lifecycle.settings import Settings


def add(_: argparse.ArgumentParser) -> None:
    """Declare nothing: it has no arguments."""


def run(_: argparse.Namespace) -> int:
    """Print the installed plugins, their hooks, and why one does not load."""
    try:
        plugins = found()[1]
    except LifecycleError as error:
        return fail(str(error), USAGE)
    hooks: dict[str, list[str]] = {name: [] for name in plugins.names}
    for hook in plugins.hooks:
        for each in plugins.implementations(hook):
            hooks[each.plugin].append(hook.removeprefix("lifecycle_"))
    rows = [(name, ", ".join(theirs), "-") for name, theirs in hooks.items()]
    rows += [(name, "-", "off: not configured") for name in plugins.off]
    rows += [(name, "-", problem) for name, problem in plugins.failed.items()]
    if not rows:
        print("no plugins are installed; the built-in ones are always there")
        return 0
    print(table(("PLUGIN", "HOOKS", "PROBLEM"), rows))
    return 1 if plugins.failed else 0


def found() -> tuple[Settings, Plugins]:
    """
    Return the settings and the plugins of this environment.

    Raises:
        LifecycleError: Something is set that cannot be.
    """
    settings = Settings()
    plugins = Plugins(hookspecs, settings, os.environ)
    plugins.discover()
    return settings, plugins
