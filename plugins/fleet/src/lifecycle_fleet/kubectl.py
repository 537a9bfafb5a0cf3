"""The program `kubectl-lifecycle`, which kubectl runs as `kubectl lifecycle`."""

from __future__ import annotations

import argparse

from lifecycle_fleet import command


def main() -> None:
    """Run the command line of this process. It always raises SystemExit."""
    parser = argparse.ArgumentParser(prog="kubectl lifecycle", description=command.HELP)
    command.add(parser)
    options = parser.parse_args()
    raise SystemExit(command.run(options))
