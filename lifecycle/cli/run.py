"""
The command `lifecycle run`, which runs an app, or a server command, with pod-lifecycle.

The command configures the log, and writes errors for people.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib
import logging
import os
import sys
import traceback
from collections.abc import Callable
from functools import partial
from typing import Any

from lifecycle.cli import run_command
from lifecycle.cli.console import USAGE, fail, warn
from lifecycle.cli.seconds import seconds
from lifecycle.config import Config
from lifecycle.drain.exit_code import INTERRUPTED
from lifecycle.exceptions import Explained, LifecycleError
from lifecycle.log import renderer_for
from lifecycle.process.asgi_callable import refusal, refusal_as_main
from lifecycle.process.command.supervise import supervise
from lifecycle.process.exit_status import code_of
from lifecycle.process.main_function import takes_lifecycle
from lifecycle.process.run import Interrupted, Runner
from lifecycle.service_names import service_spec
from lifecycle.serving.asgi_servers import SERVERS, ServerKind, server_kind
from lifecycle.serving.sockets import bind

DEFAULT_BIND = "0.0.0.0:8080"
DEFAULT_SERVER = "hypercorn"
KEEP_ALIVE = 75.0
PUT_OFF = 0.5
"""Seconds in which a command is started before the port answers, unless a plugin holds it up."""

LOCAL = {"qos_port": 0, "settle": 0.0, "quiet": 0.0}
"""The settings of `--local`. They take precedence over the environment."""


class BadTarget(Explained):
    """The target of `lifecycle run` does not exist, or cannot be run."""


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "target",
        nargs="?",
        metavar="MODULE:NAME",
        help="an async main function, or an ASGI app with --asgi",
    )
    parser.add_argument("--asgi", action="store_true", help="serve MODULE:NAME as an ASGI app")
    parser.add_argument(
        "--bind",
        action="append",
        metavar="HOST:PORT",
        help="address to serve the ASGI app on, or unix:PATH (repeatable, default: 0.0.0.0:8080)",
    )
    parser.add_argument(
        "--service",
        action="append",
        metavar="NAME[:PORT]",
        help="app service to publish (repeatable, default: LIFECYCLE_SERVICES)",
    )
    parser.add_argument(
        "-p",
        dest="plugins",
        action="append",
        default=[],
        metavar="NAME",
        help="plugin module to load, or no:NAME to turn a plugin off (repeatable)",
    )
    parser.add_argument(
        "--local",
        action="store_true",
        help="settings for a laptop: any free QOS port, and a drain without waiting times "
        "(settle and quiet are 0)",
    )
    parser.add_argument(
        "--app-dir",
        default=".",
        metavar="DIR",
        help="folder to import the module from (default: .)",
    )
    parser.add_argument(
        "--keep-alive",
        type=seconds,
        metavar="SECONDS",
        help="idle time of a connection, longer than your load balancer's (default: 75)",
    )
    parser.add_argument(
        "--loop",
        choices=("asyncio", "uvloop", "auto"),
        help="event loop of the app. auto is uvloop if it is installed, else asyncio "
        "(default: asyncio, or auto with --server uvicorn)",
    )
    parser.add_argument(
        "--server",
        choices=sorted(SERVERS),
        help="server of the ASGI app. uvicorn is faster but has no HTTP/2 (default: hypercorn)",
    )
    parser.add_argument(
        "--access-log",
        action="store_true",
        help="log an event for each request of the ASGI app",
    )
    parser.add_argument("--certfile", metavar="FILE", help="certificate to serve HTTPS with")
    parser.add_argument("--keyfile", metavar="FILE", help="private key of the certificate")
    parser.add_argument(
        "--log-level", default="info", choices=("debug", "info", "warning", "error")
    )
    run_command.add(parser)


def run(options: argparse.Namespace) -> int:
    """Run an app or a command until it ends, and return the exit code of the process."""
    try:
        command = run_command.command_of(options)
    except run_command.Refused as refused:
        return fail(refused, refused.code)
    given: dict[str, Any] = dict(LOCAL) if options.local else {}
    if options.service:
        given["services"] = tuple(options.service)
    try:
        config = Config(**given)
        if options.plugins:
            given["plugins"] = (*config.plugins, *options.plugins)
            config = Config(**given)
        services = []
        if command is not None:
            services = run_command.services_of(config.services)
        sys.path.insert(0, os.path.abspath(options.app_dir))
        renderer = renderer_for(sys.stderr, options.log_level)
        put_off = PUT_OFF if command else 0.0
        runner = Runner(config, renderer=renderer, put_off=put_off, entry="lifecycle run")
        runner.open()
        if options.local:
            _say_local(runner)
    except (LifecycleError, Interrupted) as error:
        return INTERRUPTED if isinstance(error, Interrupted) else fail(error, USAGE)
    if command is not None:
        main = partial(supervise, command=command, services=services)
        return runner.run(main, takes_life=True, step="command")
    with contextlib.ExitStack() as sockets:  # it removes the file of each Unix socket
        return _run(options, config, runner, sockets)


def _say_local(runner: Runner) -> None:
    port = runner.life.qos_url.rpartition(":")[2] if runner.life.qos_url else "none"
    runner.life.log.info(
        "local",
        qos_port=port,
        hint=(
            f"settle and quiet are 0. To see the status: lifecycle status --port {port}, or "
            f"http://localhost:{port}/ in a browser"
        ),
    )


def _run(
    options: argparse.Namespace, config: Config, runner: Runner, opened: contextlib.ExitStack
) -> int:
    try:
        wanted = (options.bind or [DEFAULT_BIND]) if options.asgi else []
        sockets = [opened.enter_context(bind(where)) for where in wanted]
        kind = _server(options)
        target = runner.interruptible(lambda: _load(options.target), "imports")
        main = (
            _asgi_main(options, config, target, sockets, kind)
            if kind
            else _own_main(options, config, target)
        )
        takes_life = options.asgi or takes_lifecycle(main)
        factory = _loop_factory(options.loop or (kind.loop if kind else "asyncio"))
    except Interrupted:
        return runner.abandon(0, "a signal during the import of the app", interrupted=True)
    except (LifecycleError, BadTarget, TypeError) as error:
        warn(error)
        return runner.abandon(USAGE, "no app to run")
    except _AppError:
        return runner.abandon(1, "the import of the app raised an exception")
    except SystemExit as leaving:
        return runner.abandon(code_of(leaving), "the app exited during its import")
    step = "server" if kind else "main"
    return runner.run(main, takes_life=takes_life, loop_factory=factory, step=step)


class _AppError(Exception):
    """The import of the app raised an exception. Its traceback has been printed."""


def _load(target: str) -> Any:
    module_name, _, path = target.partition(":")
    if not module_name or not path or module_name.startswith("."):
        raise BadTarget(
            f"{target!r}: must be MODULE:NAME, for example shop.main:main", see="app-not-found"
        )
    try:
        value: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and (module_name + ".").startswith(error.name + "."):
            raise BadTarget(
                f"no module named {error.name!r}. The first folder searched was {sys.path[0]}. "
                "To search another folder first, use --app-dir",
                see="app-not-found",
            ) from None
        _show(error)
        raise _AppError from None
    except Exception as error:  # noqa: BLE001 - whatever the app's import raises is its own
        _show(error)
        raise _AppError from None
    for name in path.split("."):
        if not hasattr(value, name):
            raise BadTarget(f"{target!r}: {module_name} has no {name!r}", see="app-not-found")
        value = getattr(value, name)
    return value


def _show(error: Exception) -> None:
    """Print the traceback of the app, without the frames of the import system and of this file."""
    frames = error.__traceback__
    while frames is not None and _is_foreign(frames.tb_frame.f_code.co_filename):
        frames = frames.tb_next
    traceback.print_exception(type(error), error, frames)


def _is_foreign(filename: str) -> bool:
    return filename == __file__ or filename.startswith("<frozen") or "importlib" in filename


def _server(options: argparse.Namespace) -> ServerKind | None:
    if not options.asgi:
        for flag in ("server", "access_log"):
            if getattr(options, flag):
                raise BadTarget(
                    f"--{flag.replace('_', '-')} is only for an ASGI app. Add --asgi",
                    see="option-for-another-kind-of-app",
                )
        return None
    return server_kind(options.server or DEFAULT_SERVER)


def _asgi_main(
    options: argparse.Namespace, config: Config, app: Any, sockets: list[Any], kind: ServerKind
) -> Callable[..., Any]:
    from lifecycle.process.serve_asgi import serve

    first = next((s.getsockname()[1] for s in sockets if isinstance(s.getsockname(), tuple)), None)
    services = [
        (name, port if port is not None else first)
        for name, port in map(service_spec, config.services)
    ]
    if not callable(app):
        raise BadTarget(f"{options.target!r} is not an ASGI app but {app!r}", see="not-an-asgi-app")
    if refused := refusal(app, options.target, *(services or [("", first)])[0]):
        raise BadTarget(refused.why, see=refused.see)
    logging.getLogger("hypercorn.error").setLevel(logging.INFO)
    return partial(
        serve,
        app=app,
        kind=kind,
        sockets=sockets,
        services=services,
        keep_alive=options.keep_alive or KEEP_ALIVE,
        tls=_tls(options, kind),
        access_log=options.access_log,
    )


def _own_main(options: argparse.Namespace, config: Config, target: Any) -> Any:
    if callable(target):
        name, port = next(map(service_spec, config.services), ("", None))
        if refused := refusal_as_main(target, options.target, name, port):
            raise BadTarget(refused.why, see=refused.see)
    return target


def _loop_factory(name: str) -> Callable[[], asyncio.AbstractEventLoop]:
    if name == "asyncio":
        return asyncio.new_event_loop
    try:
        uvloop = importlib.import_module("uvloop")
    except ModuleNotFoundError:
        if name == "auto":
            return asyncio.new_event_loop
        raise BadTarget(
            "--loop uvloop: uvloop is not installed. Run: pip install uvloop", see="package-missing"
        ) from None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def _tls(options: argparse.Namespace, kind: ServerKind) -> Any:
    if options.certfile is None:
        return None
    import ssl

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(options.certfile, options.keyfile)
    except (OSError, ssl.SSLError) as error:
        raise BadTarget(f"--certfile {options.certfile}: {error}", see="certificate") from None
    context.set_alpn_protocols([*kind.alpn])
    return context
