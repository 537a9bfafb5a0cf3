"""The options of `lifecycle rehearse`, and the plan made from them."""

from __future__ import annotations

import argparse
import os

from lifecycle.rehearsal.errors import CannotRehearse
from lifecycle.rehearsal.plan import Plan, Protocol, Traffic

UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    for flag, kind, default, metavar, text in (
        ("--rollouts", int, 1, "N", "number of rollouts, each of which replaces every replica"),
        ("--replicas", int, 2, "N", "number of replicas"),
        ("--rate", float, 100.0, "N", "requests per second on new connections, open loop"),
        ("--clients", int, 40, "N", "number of clients, each with its own view of the endpoints"),
        ("--kept", float, 0.5, "SHARE", "share of clients that keep their connection, closed loop"),
        (
            "--think",
            float,
            1.0,
            "SECONDS",
            "average idle time between two requests on a keep-alive connection",
        ),
        ("--busy", float, 0.3, "SHARE", "share of keep-alive connections that are never idle"),
        ("--slow-share", float, 0.01, "SHARE", "share of requests that ask for the --slow path"),
        ("--timeout", float, 10.0, "SECONDS", "time limit for a complete response"),
        ("--rtt", float, 0.002, "SECONDS", "round-trip time of the network"),
        (
            "--first-after",
            float,
            0.0,
            "SECONDS",
            "pause between connecting and the first request",
        ),
        ("--body-seconds", float, 0.0, "SECONDS", "time that a client takes to send one body"),
        (
            "--propagation",
            float,
            2.0,
            "SECONDS",
            "time until the last client notices that a replica is gone",
        ),
        ("--grace", float, 30.0, "SECONDS", "terminationGracePeriodSeconds of the pods"),
        (
            "--min-ready",
            float,
            0.0,
            "SECONDS",
            "minReadySeconds: time a new replica must be ready before an old one is deleted",
        ),
        ("--start-time", float, 60.0, "SECONDS", "time limit for a replica to become ready"),
        (
            "--processes",
            int,
            0,
            "N",
            "processes of the load generator, or 0 for as many as the rate needs",
        ),
    ):
        shown = f"{text} (default: {default:g})"
        parser.add_argument(flag, type=kind, default=default, metavar=metavar, help=shown)
    parser.add_argument(
        "--path", action="append", metavar="PATH", help="path to request (repeatable, default: /)"
    )
    parser.add_argument(
        "--propagation-in",
        type=float,
        metavar="SECONDS",
        help="time until the last client notices a new replica (default: a tenth of --propagation)",
    )
    parser.add_argument("--slow", metavar="PATH", help="path whose response takes long")
    parser.add_argument(
        "--method",
        metavar="METHOD",
        help="HTTP method of each request (default: POST with --body-size, else GET)",
    )
    parser.add_argument(
        "--body-size",
        type=_size,
        default=0,
        metavar="BYTES",
        help="size of each request's body, for example 2000, 64k or 2M (default: 0)",
    )
    parser.add_argument(
        "--protocol",
        action="append",
        choices=("http1", "http2", "websocket"),
        help="http1, http2 (prior knowledge) or websocket (repeatable, default: http1)",
    )
    parser.add_argument(
        "--prestop",
        metavar="HOOK",
        help="preStop hook: none, exec (lifecycle prestop), http, sleep:SECONDS or a command "
        "(default: exec if the app answers on the QOS port, else none)",
    )
    parser.add_argument(
        "--ready",
        metavar="PATH",
        help="readiness path on the app's own port, or qos (default: /ready on the QOS port if "
        "that is open, else the app's port being open)",
    )
    parser.add_argument("--cwd", metavar="DIR", help="working directory of the command")
    parser.add_argument("--report", metavar="FILE", help="write a timeline as HTML to this file")
    parser.add_argument(
        "--junit", metavar="FILE", help="write the result as JUnit XML to this file, for CI"
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument(
        "command",
        nargs="+",
        metavar="COMMAND",
        help="command that starts the app, after --. {port} and $PORT stand for the app's port",
    )


def _size(text: str) -> int:
    number, unit = text.rstrip("kKmMgG"), text.lstrip("0123456789").lower()
    if not (number.isascii() and number.isdigit()) or unit not in UNITS:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size, such as 2000, 64k or 2M")
    return int(number) * UNITS[unit]


def plan_of(options: argparse.Namespace) -> Plan:
    """
    Make the plan of a rehearsal from the options.

    Raises:
        CannotRehearse: The value of an option is not possible.
    """
    traffic = Traffic(
        rate=options.rate,
        clients=options.clients,
        kept=options.kept,
        think=options.think,
        busy=options.busy,
        paths=tuple(options.path or ["/"]),
        slow=options.slow,
        slow_share=options.slow_share,
        method=options.method,
        body_size=options.body_size,
        body_seconds=options.body_seconds,
        protocols=tuple(Protocol(each) for each in options.protocol or ["http1"]),
        timeout=options.timeout,
        rtt=options.rtt,
        first_after=options.first_after,
        propagation=options.propagation,
        propagation_in=options.propagation_in,
        processes=options.processes,
    )
    cwd = options.cwd
    if cwd is not None and not os.path.isdir(cwd):
        raise CannotRehearse(f"--cwd {cwd}: this folder does not exist")
    return Plan(
        tuple(options.command),
        traffic,
        rollouts=options.rollouts,
        replicas=options.replicas,
        prestop=options.prestop,
        ready=options.ready,
        grace=options.grace,
        start_time=options.start_time,
        min_ready=options.min_ready,
        cwd=cwd,
    )
