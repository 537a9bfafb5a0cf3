"""The full parser of the command `lifecycle`, and what its commands do."""

from __future__ import annotations

import argparse
import errno
import sys
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote

from lifecycle.cli import kubernetes, light
from lifecycle.plain import lines
from lifecycle.version import VERSION

USAGE = 2
UNWRITABLE = (errno.EPIPE, errno.ENOSPC)
UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
TAKES_COMMAND = ("rehearse", "manifests")


def main(words: Sequence[str]) -> int:
    """Run one command; returns its exit code."""
    parser = make_parser()
    name = words[0] if words else ""
    if name in TAKES_COMMAND and not {"--", "-h", "--help", "kustomize"} & set(words):
        parser.error(f"{name}: put -- before the command: lifecycle {name} [OPTIONS] -- COMMAND")
    options = parser.parse_args(words)
    try:
        code: int = options.action(options)
        if options.action is not _run and sys.stdout is not None:
            sys.stdout.flush()
    except light.Unreachable as error:
        return light.fail(str(error), USAGE)
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        light.give_up(sys.stdout)
        # Who reads no further, like `head`, wants no word about it.
        return 1 if error.errno == errno.EPIPE else light.fail(f"stdout: {error.strerror}", 1)
    return code


def make_parser() -> argparse.ArgumentParser:
    """Make the parser; the documentation's reference is generated from it."""
    parser = argparse.ArgumentParser(
        prog="lifecycle", description="An explicit lifecycle for asyncio apps on Kubernetes."
    )
    parser.add_argument("--version", action="version", version=f"pod-lifecycle {VERSION}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    run = commands.add_parser("run", help="run an app under a lifecycle")
    run.add_argument("target", metavar="MODULE:NAME", help="an async main, or an ASGI app")
    run.add_argument("--asgi", action="store_true", help="it is an ASGI app: serve it")
    run.add_argument(
        "--bind",
        action="append",
        metavar="HOST:PORT",
        help="where to serve the ASGI app; repeatable, also unix:PATH (default: 0.0.0.0:8080)",
    )
    run.add_argument(
        "--service",
        action="append",
        metavar="NAME[:PORT]",
        help="a service to export; repeatable (default: LIFECYCLE_SERVICES)",
    )
    run.add_argument(
        "-p",
        dest="plugins",
        action="append",
        default=[],
        metavar="NAME",
        help="load a module as a plugin; no:NAME leaves one out",
    )
    run.add_argument("--app-dir", default=".", help="where the module is looked for first")
    run.add_argument(
        "--keep-alive",
        type=_seconds,
        default=75.0,
        metavar="SECONDS",
        help="how long a connection may be idle; longer than the load balancer's (default: 75)",
    )
    run.add_argument(
        "--loop", choices=("asyncio", "uvloop"), default="asyncio", help="the app's event loop"
    )
    run.add_argument("--certfile", help="serve HTTPS with this certificate")
    run.add_argument("--keyfile", help="the certificate's key")
    run.add_argument("--log-level", default="info", choices=("debug", "info", "warning", "error"))
    run.set_defaults(action=_run)

    prestop = commands.add_parser("prestop", help="drain; returns when SIGTERM is safe")
    probe = commands.add_parser("probe", help="ask one probe; exit code 0 if true")
    probe.add_argument("kind", choices=light.PROBES)
    ls = commands.add_parser("ls", help="list services and where they are registered")
    status = commands.add_parser("status", help="show everything there is to see")
    status.add_argument("--json", action="store_true", help="as JSON")
    status.add_argument("--watch", action="store_true", help="redraw every second")
    online = commands.add_parser("online", help="release services that were taken offline")
    offline = commands.add_parser("offline", help="take services out of traffic")
    for parser_ in (online, offline):
        parser_.add_argument("service", nargs="?", default="*", metavar="GLOB")
    for parser_, action in (
        (prestop, _prestop),
        (probe, _probe),
        (ls, _ls),
        (status, _status),
        (online, _switch("online")),
        (offline, _switch("offline")),
    ):
        parser_.add_argument("--port", type=_port, default=None, help="the QOS port")
        parser_.set_defaults(action=action)

    plugins = commands.add_parser("plugins", help="list installed plugins and their hooks")
    plugins.set_defaults(action=_plugins)
    config = commands.add_parser("config", help="show what is set, and from where")
    config.add_argument("--json", action="store_true", help="as JSON")
    config.set_defaults(action=_config)
    kubernetes.add_manifests(commands)
    kubernetes.add_check(commands)
    _add_rehearse(commands)
    return parser


def _add_rehearse(commands: Any) -> None:
    rehearse = commands.add_parser(
        "rehearse", help="roll a service over under load, on this machine; count what is lost"
    )
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
        rehearse.add_argument(flag, type=kind, default=default, metavar=metavar, help=shown)
    rehearse.add_argument(
        "--path", action="append", metavar="PATH", help="what is asked for; repeatable (default: /)"
    )
    rehearse.add_argument(
        "--propagation-in",
        type=float,
        metavar="SECONDS",
        help="time until the last client hears of a new replica (default: a tenth of "
        "--propagation)",
    )
    rehearse.add_argument("--slow", metavar="PATH", help="a path that takes long")
    rehearse.add_argument(
        "--method",
        metavar="METHOD",
        help="HTTP method of each request (default: POST with --body-size, else GET)",
    )
    rehearse.add_argument(
        "--body-size",
        type=_size,
        default=0,
        metavar="BYTES",
        help="size of each request's body, for example 2000, 64k or 2M (default: 0)",
    )
    rehearse.add_argument(
        "--protocol",
        action="append",
        choices=("http1", "http2", "websocket"),
        help="repeatable: http1, http2 (prior knowledge) or websocket (default: http1)",
    )
    rehearse.add_argument(
        "--prestop",
        metavar="HOOK",
        help="none, exec (lifecycle prestop), http, sleep:SECONDS or a command "
        "(default: exec if the app answers on QOS, else none)",
    )
    rehearse.add_argument(
        "--ready",
        metavar="PATH",
        help="of the app that says that it is ready, or qos (default: /ready on QOS if it is "
        "open, else that the port is)",
    )
    rehearse.add_argument("--cwd", metavar="DIR", help="the command's working directory")
    rehearse.add_argument("--report", metavar="FILE", help="write a timeline as HTML")
    rehearse.add_argument("--junit", metavar="FILE", help="write the result as JUnit XML, for CI")
    rehearse.add_argument("--json", action="store_true", help="as JSON")
    rehearse.add_argument(
        "command",
        nargs="+",
        metavar="COMMAND",
        help="of the app, after --; {port} in it, and $PORT, is its port",
    )
    rehearse.set_defaults(action=_rehearse)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value <= 86400:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds up to 86400")
    return value


def _size(text: str) -> int:
    number, unit = text.rstrip("kKmMgG"), text.lstrip("0123456789").lower()
    if not (number.isascii() and number.isdigit()) or unit not in UNITS:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size, such as 2000, 64k or 2M")
    return int(number) * UNITS[unit]


def _port(text: str) -> int:
    if not light.is_port(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no port from 1 to 65535")
    return int(text)


def _port_of(options: argparse.Namespace) -> int:
    return options.port or light.own_port()


def _run(options: argparse.Namespace) -> int:
    from lifecycle.cli.run import run

    return run(options)


def _prestop(options: argparse.Namespace) -> int:
    return light.prestop(_port_of(options))


def _probe(options: argparse.Namespace) -> int:
    return light.probe(options.kind, _port_of(options))


def _ls(options: argparse.Namespace) -> int:
    code, body = light.request("GET", "/ls", _port_of(options), timeout=5)
    if code >= 400:
        return _refused(body)
    print(lines(body.rstrip("\n")))
    return 0


def _switch(name: str) -> Callable[[argparse.Namespace], int]:
    def switch(options: argparse.Namespace) -> int:
        path = f"/{name}?service={quote(options.service)}"
        code, body = light.request("POST", path, _port_of(options), timeout=5)
        if code >= 400:
            return _refused(body)
        light.say(body, sys.stdout)
        return 0

    return switch


def _refused(body: str) -> int:
    light.say(body.rstrip("\n") + "\n", sys.stderr)
    return 1


def _status(options: argparse.Namespace) -> int:
    from lifecycle.cli import status

    show = status.watch if options.watch else status.show
    return show(_port_of(options), as_json=options.json)


def _rehearse(options: argparse.Namespace) -> int:
    from lifecycle.cli.rehearse import rehearse

    return rehearse(options)


def _plugins(_: argparse.Namespace) -> int:
    from lifecycle.cli import environment

    return environment.show_plugins()


def _config(options: argparse.Namespace) -> int:
    from lifecycle.cli import environment

    return environment.show_config(as_json=options.json)
