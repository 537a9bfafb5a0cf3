"""The command `lifecycle ls`: the app services, and where each one is registered."""

from __future__ import annotations

import argparse

from lifecycle.cli.console import refused
from lifecycle.cli.control_client import add_port, port_of, request
from lifecycle.plain import lines

add = add_port


def run(options: argparse.Namespace) -> int:
    """Print the list. The exit code is 0, or 1 if the app refuses."""
    code, body = request("GET", "/ls", port_of(options), timeout=5)
    if code >= 400:
        return refused(body)
    print(lines(body.rstrip("\n")))
    return 0
