"""The programs that kubectl runs: `kubectl lifecycle`, and the completion of its arguments."""

from __future__ import annotations

import argparse
import sys
from typing import NoReturn

from lifecycle_fleet import command
from lifecycle_fleet.errors import FleetError


class Parser(argparse.ArgumentParser):
    """A parser whose errors name their page."""

    def error(self, message: str) -> NoReturn:
        """Print a message and the page about it, and exit with 2."""
        super().error(f"{message}\nSee {FleetError(see='errors.md#wrong-arguments').see}")


def parser() -> Parser:
    """Return the parser of `kubectl lifecycle`."""
    made = Parser(prog="kubectl lifecycle", description=f"{command.HELP.capitalize()}.")
    command.add(made)
    return made


def main() -> None:
    """Run the command line of this process. It always raises SystemExit."""
    raise SystemExit(command.run(parser().parse_args()))


def complete() -> None:
    """Print what may follow the words of this process, as kubectl wants it from its plugins."""
    from lifecycle_fleet.completion import DIRECTIVE, candidates

    for each in candidates(parser(), sys.argv[1:]):
        print(each)
    print(DIRECTIVE)
