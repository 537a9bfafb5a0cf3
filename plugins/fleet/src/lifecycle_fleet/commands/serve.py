"""`lifecycle fleet serve`: the pods as a page, as JSON and as metrics, for a team."""

from __future__ import annotations

import argparse
import ipaddress
import os
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Final

from lifecycle_fleet.options import add_cluster, add_selection, namespace_of

BIND: Final = "127.0.0.1:8080"
TARGET: Final = "lifecycle_fleet.serve.main:app"
IN_A_POD: Final = "KUBERNETES_SERVICE_HOST"
"""A variable that the kubelet sets in every container."""
PROBE_PORT: Final = "LIFECYCLE_QOS_PORT"
SERVICES: Final = "LIFECYCLE_SERVICES"
REGISTERS: Final = "LIFECYCLE_KUBERNETES_ENABLED"
"""If this is true, lifecycle-kubernetes registers the server. Its account needs more rights then."""
SERVICE: Final = "fleet"


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--bind",
        action="append",
        metavar="HOST:PORT",
        help=f"address to serve the page on, or unix:PATH (repeatable, default: {BIND})",
    )
    parser.add_argument(
        "--auth",
        choices=("none", "token"),
        default="none",
        help="none: each client that can connect may read. token: each reader needs a bearer token of "
        "a user that may list the pods (default: none)",
    )
    parser.add_argument("--certfile", metavar="FILE", help="certificate to serve HTTPS with")
    parser.add_argument("--keyfile", metavar="FILE", help="private key of the certificate")
    parser.add_argument("--all", action="store_true", help="show also pods without pod-lifecycle")
    add_selection(parser)
    add_cluster(parser)


def run(options: argparse.Namespace) -> int:
    """Replace this process by the server. Returns only if it cannot start."""
    from lifecycle_fleet.cluster.kubeconfig import load
    from lifecycle_fleet.serve.settings import VARIABLE, Settings

    config = load(options.kubeconfig, options.context)
    binds: list[str] = options.bind or [BIND]
    settings = Settings(
        kubeconfig=options.kubeconfig,
        context=options.context,
        namespace=namespace_of(options, config.namespace),
        selector=options.selector,
        all_pods=options.all,
        token=options.auth == "token",
        local=is_local(binds),
    )
    environ = os.environ | {VARIABLE: settings.to_variable()}
    argv = server(binds, os.environ, certfile=options.certfile, keyfile=options.keyfile)
    os.execve(argv[0], argv, environ)  # noqa: S606 - our own program, without a shell


def server(binds: Sequence[str], environ: Mapping[str, str], **files: str | None) -> list[str]:
    """
    Return the command of the server: `lifecycle run --asgi` of this Python.

    Args:
        binds: The addresses.
        environ: The environment. Outside of a pod, the server uses any free probe port, and drains
            without waiting times. If the environment has a probe port, this is not so.
        files: Options of `lifecycle run` that name a file, with the file, or None.
    """
    folder = Path(__file__).parents[2]  # not the working directory, which may have anything
    argv = [sys.executable, "-P", "-m", "lifecycle", "run", "--asgi", "--app-dir", str(folder)]
    argv += [word for bind in binds for word in ("--bind", bind)]
    argv += [word for name, file in files.items() if file for word in (f"--{name}", file)]
    if SERVICES not in environ:
        argv += ["--service", SERVICE]
    if IN_A_POD not in environ and PROBE_PORT not in environ:
        argv += ["--local"]
    if environ.get(REGISTERS, "").lower() != "true" and entry_points(
        group="lifecycle", name="kubernetes"
    ):
        argv += ["-p", "no:kubernetes"]
    return [*argv, TARGET]


def is_local(binds: Sequence[str]) -> bool:
    """
    Tell whether only this machine can connect.

    Its browser can be led here by a foreign page. A browser cannot use a Unix socket.
    """
    ports = [each for each in binds if not each.startswith("unix:")]
    return bool(ports) and all(map(_is_loopback, ports))


def _is_loopback(bind: str) -> bool:
    host = bind.rpartition(":")[0].removeprefix("[").removesuffix("]")
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
