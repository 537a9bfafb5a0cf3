"""`lifecycle offline`: takes services out of traffic."""

from __future__ import annotations

import argparse
import sys
from urllib.parse import quote

from lifecycle.cli.console import refused, say
from lifecycle.cli.control_client import add_port, port_of, request


def add(parser: argparse.ArgumentParser) -> None:
    """Declare which services, and of which app."""
    parser.add_argument("service", nargs="?", default="*", metavar="GLOB")
    add_port(parser)


def run(options: argparse.Namespace) -> int:
    """Take services offline: 0; 1 if the app refuses."""
    return switch("offline", options)


def switch(way: str, options: argparse.Namespace) -> int:
    """Take services offline, or online."""
    path = f"/{way}?service={quote(options.service)}"
    code, body = request("POST", path, port_of(options), timeout=5)
    if code >= 400:
        return refused(body)
    say(body, sys.stdout)
    return 0
