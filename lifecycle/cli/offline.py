"""The command `lifecycle offline`, which takes app services out of traffic."""

from __future__ import annotations

import argparse
import sys
from typing import Final
from urllib.parse import quote

from lifecycle.cli.console import USAGE, fail, refused, say
from lifecycle.cli.control_client import add_port, port_of, request
from lifecycle.cli.seconds import seconds

PATTERN: Final = "names of app services, for example 'orders*' (default: *, all of them)"
TIMEOUT: Final = 60.0
ANSWER_TIME: Final = 5.0
"""Seconds that an app has to answer."""


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments: which app services, whether to wait, and the port of the app."""
    add_services(parser)
    parser.add_argument(
        "--wait",
        action="store_true",
        help="return when the app services are deregistered and settle is over. If all of them are "
        "offline, wait also until no request is in flight or arrives",
    )
    parser.add_argument(
        "--timeout",
        type=seconds,
        metavar="SECONDS",
        help=f"longest wait with --wait, after which the exit code is 1 (default: {TIMEOUT:g})",
    )


def add_services(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments that `lifecycle online` has too."""
    parser.add_argument("service", nargs="?", default="*", metavar="PATTERN", help=PATTERN)
    add_port(parser)


def run(options: argparse.Namespace) -> int:
    """Take app services offline. The exit code is 0, or 1 if the app refuses or time is over."""
    if not options.wait:
        if options.timeout is not None:
            return fail("--timeout needs --wait", USAGE, see="errors.md#wrong-arguments")
        return switch("offline", options)
    limit = TIMEOUT if options.timeout is None else options.timeout
    return switch("offline", options, f"&wait={limit:g}", limit)


def switch(way: str, options: argparse.Namespace, more: str = "", limit: float = 0.0) -> int:
    """
    Take app services offline, or bring them online.

    Args:
        way: The name of the command.
        options: The arguments of the command line.
        more: More arguments of the request.
        limit: Seconds after which the app answers in any case.
    """
    path = f"/{way}?service={quote(options.service)}{more}"
    code, body = request("POST", path, port_of(options), timeout=limit + ANSWER_TIME)
    if code >= 400:
        return refused(body)
    say(body, sys.stdout)
    return 0
