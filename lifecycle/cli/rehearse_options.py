"""The options of `lifecycle rehearse`, and the plan that they make."""

from __future__ import annotations

import argparse
import os

from lifecycle.rehearsal.errors import CannotRehearse
from lifecycle.rehearsal.plan import Plan, Protocol, Traffic

UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


def add(parser: argparse.ArgumentParser) -> None:
    """Declare them."""
    for flag, kind, default, metavar, text in (
        ("--rollouts", int, 1, "N", "how often every replica is replaced"),
        ("--replicas", int, 2, "N", "how many there are"),
        ("--rate", float, 100.0, "N", "requests a second on new connections, open loop"),
        ("--clients", int, 40, "N", "how many, each with its own view of the endpoints"),
        ("--kept", float, 0.5, "SHARE", "of the clients keep their connections, closed loop"),
        ("--think", float, 1.0, "SECONDS", "a kept connection idles between requests"),
        ("--busy", float, 0.3, "SHARE", "of the kept connections never idle"),
        ("--slow-share", float, 0.01, "SHARE", "of the requests ask for --slow"),
        ("--timeout", float, 10.0, "SECONDS", "for a whole response"),
        ("--rtt", float, 0.002, "SECONDS", "the network's round trip"),
        (
            "--first-after",
            float,
            0.0,
            "SECONDS",
            "pause between a client's connect and its first request",
        ),
        ("--body-seconds", float, 0.0, "SECONDS", "time that a client takes to send one body"),
        ("--propagation", float, 2.0, "SECONDS", "time until the last client hears of a removal"),
        ("--grace", float, 30.0, "SECONDS", "terminationGracePeriodSeconds"),
        (
            "--min-ready",
            float,
            0.0,
            "SECONDS",
            "minReadySeconds: ready so long before an old one goes",
        ),
        ("--start-time", float, 60.0, "SECONDS", "a replica has to become ready"),
        ("--processes", int, 0, "N", "of the load generator; 0: as the rate needs"),
    ):
        shown = f"{text} (default: {default:g})"
        parser.add_argument(flag, type=kind, default=default, metavar=metavar, help=shown)
    parser.add_argument(
        "--path", action="append", metavar="PATH", help="what is asked for; repeatable (default: /)"
    )
    parser.add_argument(
        "--propagation-in",
        type=float,
        metavar="SECONDS",
        help="time until the last client hears of a new replica (default: a tenth of "
        "--propagation)",
    )
    parser.add_argument("--slow", metavar="PATH", help="a path that takes long")
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
        help="repeatable: http1, http2 (prior knowledge) or websocket (default: http1)",
    )
    parser.add_argument(
        "--prestop",
        metavar="HOOK",
        help="none, exec (lifecycle prestop), http, sleep:SECONDS or a command "
        "(default: exec if the app answers on QOS, else none)",
    )
    parser.add_argument(
        "--ready",
        metavar="PATH",
        help="of the app that says that it is ready, or qos (default: /ready on QOS if it is "
        "open, else that the port is)",
    )
    parser.add_argument("--cwd", metavar="DIR", help="the command's working directory")
    parser.add_argument("--report", metavar="FILE", help="write a timeline as HTML")
    parser.add_argument("--junit", metavar="FILE", help="write the result as JUnit XML, for CI")
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.add_argument(
        "command",
        nargs="+",
        metavar="COMMAND",
        help="of the app, after --; {port} in it, and $PORT, is its port",
    )


def _size(text: str) -> int:
    number, unit = text.rstrip("kKmMgG"), text.lstrip("0123456789").lower()
    if not (number.isascii() and number.isdigit()) or unit not in UNITS:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size, such as 2000, 64k or 2M")
    return int(number) * UNITS[unit]


def plan_of(options: argparse.Namespace) -> Plan:
    """
    Make the plan.

    Raises:
        CannotRehearse: An option does not make sense.
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
        raise CannotRehearse(f"--cwd {cwd}: there is no such folder")
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
