"""
The subcommands of plugins, from the entry-point group `lifecycle_commands`.

An entry point names a module with `HELP`, `add(parser)` and `run(options)`, like the modules of the
built-in subcommands. Importing it must be cheap, because the list of all subcommands needs `HELP`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from lifecycle.calls.entry_points import EntryPoint, entry_points
from lifecycle.cli.commands import COMMANDS
from lifecycle.exceptions import PluginError, text_of

GROUP: Final = "lifecycle_commands"
NEEDED: Final = ("HELP", "add", "run")
"""Names that the module of a subcommand must have."""


class NotLoaded(PluginError):
    """The module of a subcommand cannot be imported, or a part of it is missing."""

    help_entry = "errors.md#command-of-a-plugin"


class PluginCommand(NamedTuple):
    """
    One subcommand of a plugin.

    Attributes:
        entry: Its entry point, of which the name is the name of the subcommand.
        module: Its module. None before `loaded`.
    """

    entry: EntryPoint
    module: Any = None

    @property
    def name(self) -> str:
        """The name of the subcommand."""
        return self.entry.name

    @property
    def help(self) -> str:
        """The help text, or why there is none, as `argparse` takes it."""
        try:
            text = str(self.loaded().module.HELP)
        except NotLoaded as error:
            text = str(error)
        return text.replace("%", "%%")

    def loaded(self) -> PluginCommand:
        """
        Return it with its module.

        Raises:
            NotLoaded: The module cannot be imported, or a part of it is missing.
        """
        if self.module is not None:
            return self
        name, place = self.name, self.entry.value
        try:
            module = self.entry.load()
        except (Exception, SystemExit) as error:
            raise NotLoaded(
                f"the command {name!r} of a plugin ({place}) cannot be imported: {_reason(error)}"
            ) from error
        if missing := [each for each in NEEDED if not hasattr(module, each)]:
            raise NotLoaded(
                f"the command {name!r} of a plugin ({place}) has no {', '.join(missing)}"
            )
        return self._replace(module=module)

    def add(self, parser: argparse.ArgumentParser) -> None:
        """
        Declare the arguments.

        Raises:
            NotLoaded: The module cannot do that, for example because it imports more for it.
        """
        try:
            self.module.add(parser)
        except (Exception, SystemExit) as error:
            raise NotLoaded(
                f"the command {self.name!r} of a plugin ({self.entry.value}) cannot declare its "
                f"arguments: {_reason(error)}"
            ) from error

    @property
    def run(self) -> Callable[[argparse.Namespace], int]:
        """The function that runs the subcommand and returns its exit code."""
        run: Callable[[argparse.Namespace], int] = self.module.run
        return run


def _reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {text_of(error)}"


def plugin_commands() -> dict[str, PluginCommand]:
    """Return the subcommands of the installed plugins, by name. A built-in name stays built in."""
    return {
        each.name: PluginCommand(each) for each in entry_points(GROUP) if each.name not in COMMANDS
    }
