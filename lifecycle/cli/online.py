"""`lifecycle online`: releases services that were taken offline."""

from __future__ import annotations

import argparse

from lifecycle.cli import offline

add = offline.add


def run(options: argparse.Namespace) -> int:
    """Release services: 0; 1 if the app refuses."""
    return offline.switch("online", options)
