"""The command `lifecycle plugins`: the plugins that an app gets in this environment."""

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
    """Declare no arguments."""


def run(_: argparse.Namespace) -> int:
    """Print the installed plugins, their hooks, and why a plugin does not load."""
    try:
        plugins = found()[1]
    except LifecycleError as error:
        return fail(error, USAGE)
    hooks: dict[str, list[str]] = {name: [] for name in plugins.names}
    for hook in plugins.hooks:
        for each in plugins.implementations(hook):
            hooks[each.plugin].append(hook.removeprefix("lifecycle_"))
    rows = [(name, ", ".join(theirs), "-") for name, theirs in hooks.items()]
    rows += [(name, "-", "off: not configured") for name in plugins.off]
    rows += [(name, "-", problem) for name, problem in plugins.failed.items()]
    if not rows:
        print("no plugins are installed (the built-in plugins are not listed)")
        return 0
    print(table(("PLUGIN", "HOOKS", "PROBLEM"), rows))
    return 1 if plugins.failed else 0


def found() -> tuple[Settings, Plugins]:
    """
    Return the settings and the plugins of this environment.

    Raises:
        LifecycleError: A setting is wrong.
    """
    settings = Settings()
    plugins = Plugins(hookspecs, settings, os.environ)
    plugins.discover()
    return settings, plugins
