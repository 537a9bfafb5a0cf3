"""Runs the command line of the plugin in the test's own process."""

from __future__ import annotations

from lifecycle_fleet import command, kubectl


def fleet(*words: str) -> int:
    """Run `kubectl lifecycle …`, and return its exit code."""
    try:
        return command.run(kubectl.parser().parse_args(words))
    except SystemExit as error:
        return int(error.code or 0)
