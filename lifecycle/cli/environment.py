"""`lifecycle config` and `lifecycle plugins`: what this environment would give an app."""

from __future__ import annotations

import json
import os

from lifecycle import hookspecs
from lifecycle.calls.plugins import Plugins
from lifecycle.cli.light import fail, warn
from lifecycle.config import Config, core_variables
from lifecycle.exceptions import LifecycleError
from lifecycle.plain import table

USAGE = 2


def show_config(*, as_json: bool) -> int:
    """Print every setting and its source; an unknown variable is an error here."""
    try:
        config = Config()
        plugins = Plugins(hookspecs, config, os.environ)
        plugins.discover()
    except LifecycleError as error:
        return fail(str(error), USAGE)
    settings = config.public() | config.public_options()
    if as_json:
        print(json.dumps(settings, indent=2, default=str))
    else:
        rows = [(name, _text(each["value"]), each["source"]) for name, each in settings.items()]
        print(table(("SETTING", "VALUE", "FROM"), rows))
    unknown = plugins.unknown_variables(core_variables())
    for sentence in unknown.values():
        warn(sentence)
    return USAGE if unknown else 0


def _text(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return ",".join(map(str, value)) or "-"
    return "-" if value in (None, "") else str(value)


def show_plugins() -> int:
    """Print the installed plugins, their hooks, and why one does not load."""
    try:
        plugins = Plugins(hookspecs, Config(), os.environ)
        plugins.discover()
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
