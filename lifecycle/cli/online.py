"""The command `lifecycle online`, which brings app services back online."""

from __future__ import annotations

import argparse

from lifecycle.cli import offline

add = offline.add_services


def run(options: argparse.Namespace) -> int:
    """Bring app services online. The exit code is 0, or 1 if the app refuses."""
    return offline.switch("online", options)
