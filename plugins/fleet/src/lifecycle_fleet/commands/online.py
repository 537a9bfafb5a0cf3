"""`lifecycle fleet online`: brings app services of pods back online."""

from __future__ import annotations

import argparse

from lifecycle_fleet.commands.offline import add_target
from lifecycle_fleet.options import add_cluster


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_target(parser)
    add_cluster(parser)


async def run(options: argparse.Namespace) -> int:
    """Bring the app services of each pod online."""
    from lifecycle_fleet.switching.command import switch

    return await switch(options, "online")
