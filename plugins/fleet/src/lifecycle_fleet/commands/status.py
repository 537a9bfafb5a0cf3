"""`lifecycle fleet status`: the full status of one pod, as `lifecycle status` shows it there."""

from __future__ import annotations

import argparse
from typing import Final

from lifecycle_fleet.options import add_cluster, add_data, add_pod

FIELDS: Final = ("state", "since", "services", "probes")
"""Fields that the JSON must have."""
TIMEOUT: Final = 20.0
"""Seconds for an answer."""


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_pod(parser)
    add_data(parser)
    add_cluster(parser)


async def run(options: argparse.Namespace) -> int:
    """Print the status. The exit code is that of the command in the pod."""
    from lifecycle_fleet.asking import ask

    return await ask(options, ["status"], FIELDS, TIMEOUT)
