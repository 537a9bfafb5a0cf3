"""The command `lifecycle config`: all settings, and where each value comes from."""

from __future__ import annotations

import argparse
import json
import os

from lifecycle.calls.registry_variables import refuse_missing_registry
from lifecycle.cli.console import USAGE, fail, warn
from lifecycle.cli.plugins import found
from lifecycle.config import core_variables
from lifecycle.exceptions import LifecycleError
from lifecycle.plain import table


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """Print every setting and its source. An unknown `LIFECYCLE_` variable is an error here."""
    try:
        config, plugins = found()
    except LifecycleError as error:
        return fail(error, USAGE)
    settings = config.public() | config.public_options()
    if options.json:
        print(json.dumps(settings, indent=2, default=str))
    else:
        rows = [(name, _text(each["value"]), each["source"]) for name, each in settings.items()]
        print(table(("SETTING", "VALUE", "FROM"), rows))
    try:
        refuse_missing_registry(plugins, config, os.environ, core_variables())
    except LifecycleError as error:
        return fail(error, USAGE)
    unknown = plugins.unknown_variables(core_variables())
    for sentence in unknown.values():
        warn(sentence, see="unknown-setting")
    return USAGE if unknown else 0


def _text(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return ",".join(map(str, value)) or "-"
    return "-" if value in (None, "") else str(value)
