"""The command `lifecycle offline`, which takes app services out of traffic."""

from __future__ import annotations

import argparse
import sys
from urllib.parse import quote

from lifecycle.cli.console import refused, say
from lifecycle.cli.control_client import add_port, port_of, request

PATTERN = "names of app services, for example 'orders*' (default: *, all of them)"


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments: which app services, and the port of the app."""
    parser.add_argument("service", nargs="?", default="*", metavar="PATTERN", help=PATTERN)
    add_port(parser)


def run(options: argparse.Namespace) -> int:
    """Take app services offline. The exit code is 0, or 1 if the app refuses."""
    return switch("offline", options)


def switch(way: str, options: argparse.Namespace) -> int:
    """Take app services offline, or bring them online. `way` is the name of the command."""
    path = f"/{way}?service={quote(options.service)}"
    code, body = request("POST", path, port_of(options), timeout=5)
    if code >= 400:
        return refused(body)
    say(body, sys.stdout)
    return 0
