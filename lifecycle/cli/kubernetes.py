"""The parsers of `lifecycle manifests` and `lifecycle check`."""

from __future__ import annotations

import argparse
from typing import Any


def add_manifests(commands: Any) -> None:
    """Add `manifests`."""
    parser = commands.add_parser("manifests", help="write what Kubernetes needs to run an app")
    parser.add_argument("--name", required=True, help="of the Deployment and what belongs to it")
    parser.add_argument("--image", metavar="IMAGE", help="of the app; only kustomize does without")
    parser.add_argument(
        "--service",
        action="append",
        default=[],
        metavar="NAME:PORT",
        help="a service that the app exports; repeatable (default: LIFECYCLE_SERVICES, or what "
        "the command says)",
    )
    parser.add_argument(
        "--env",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a variable of the app; repeatable. LIFECYCLE_* of this environment are taken too",
    )
    parser.add_argument("--replicas", type=_count, metavar="N", help="how many (default: 2)")
    parser.add_argument(
        "--profile",
        choices=("app", "sidecar-istio", "job", "job-istio"),
        default="app",
        help="app, sidecar-istio, job or job-istio (default: app)",
    )
    parser.add_argument(
        "--prestop",
        type=_prestop,
        default="exec",
        metavar="exec|http",
        help="how the drain begins; http comes with a token (default: exec)",
    )
    parser.add_argument(
        "--guaranteed", action="store_true", help="requests equal limits: QoS class Guaranteed"
    )
    parser.add_argument("--cpu", default="250m", help="what it asks for (default: 250m)")
    parser.add_argument("--memory", default="256Mi", help="what it may use (default: 256Mi)")
    parser.add_argument(
        "--user",
        type=_uid,
        metavar="UID",
        help="it runs as (default: 10001; a component keeps the security context that is there)",
    )
    parser.add_argument(
        "--container", metavar="NAME", help="of the container (default: that of --name)"
    )
    parser.add_argument(
        "--no-registry",
        action="store_true",
        help="without lifecycle-kubernetes: no readiness gate, no Role",
    )
    parser.add_argument(
        "-o",
        dest="output",
        choices=("yaml", "json", "kustomize"),
        default="yaml",
        help="yaml, json, or a kustomize component to put onto existing manifests (default: yaml)",
    )
    parser.add_argument("--to", metavar="DIR", help="where kustomize's files are written")
    parser.add_argument("command", nargs="*", metavar="COMMAND", help="of the app, after --")
    parser.set_defaults(action=_manifests)


def add_check(commands: Any) -> None:
    """Add `check`."""
    parser = commands.add_parser("check", help="find what will hurt in Kubernetes manifests")
    parser.add_argument(
        "files",
        nargs="+",
        metavar="PATH",
        help="a file of YAML or JSON; a folder, of which every *.yaml, *.yml and *.json is read; "
        "or - for standard input, for example from kubectl get -o json",
    )
    parser.add_argument(
        "--format",
        choices=("text", "json", "sarif"),
        default="text",
        help="text, json or sarif (default: text)",
    )
    parser.add_argument(
        "--allow-nothing",
        action="store_true",
        help="exit with 0 if there is nothing to check, for example in a pre-commit hook",
    )
    parser.add_argument(
        "--exclude",
        action="append",
        default=[],
        metavar="PATTERN",
        help="leave out the files and folders whose path matches a shell pattern, for example "
        "'*/testdata' (may be repeated)",
    )
    parser.set_defaults(action=_check)


def _count(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text[:9]) <= 10_000 or len(text) > 5:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to 10000")
    return int(text)


def _uid(text: str) -> int:
    if not text.isdecimal() or len(text) > 10 or not 0 < int(text) < 2**31:
        raise argparse.ArgumentTypeError(f"{text!r} is no uid from 1 to 2147483647: not root")
    return int(text)


def _prestop(text: str) -> str:
    if text.partition(":")[0] == "sleep":
        raise argparse.ArgumentTypeError(
            "no sleep: while it sleeps nothing is deregistered and no connection is told to go, "
            "and the kept ones are lost afterwards; LIFECYCLE_SETTLE is the time to wait in the "
            "drain"
        )
    if text not in ("exec", "http"):
        raise argparse.ArgumentTypeError(f"{text!r} is neither exec nor http")
    return text


def _manifests(options: argparse.Namespace) -> int:
    from lifecycle.cli.manifests import manifests

    return manifests(options)


def _check(options: argparse.Namespace) -> int:
    from lifecycle.cli.check import check

    return check(options)
