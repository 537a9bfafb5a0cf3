"""`lifecycle manifests`: writes what `lifecycle check` has nothing to say about."""

from __future__ import annotations

import argparse
import os
import shlex
import sys

from lifecycle.checks.check import check
from lifecycle.checks.reading.documents import from_objects
from lifecycle.cli.console import USAGE, fail, warn
from lifecycle.manifests import readiness_gate
from lifecycle.manifests.objects import objects
from lifecycle.manifests.output import as_json, as_yaml, component
from lifecycle.manifests.plan import Plan, doubts, make_plan
from lifecycle.manifests.validation import Refused, check_text

DOUBT = "unknown-variable"
"""The rule whose findings are warnings here: `doubts` has them in words of its own."""


def add(parser: argparse.ArgumentParser) -> None:
    """Declare its arguments."""
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
        "--readiness-gate",
        action="store_const",
        const=True,
        help="write the readiness gate and the Role of lifecycle-kubernetes. The image must have "
        "this plugin (default: if the plugin is installed here)",
    )
    parser.add_argument(
        "--no-readiness-gate",
        "--no-registry",
        dest="readiness_gate",
        action="store_const",
        const=False,
        help="write neither, for an image without lifecycle-kubernetes",
    )
    parser.add_argument(
        "-o",
        dest="output",
        choices=("yaml", "json", "kustomize"),
        default="yaml",
        help="yaml, json, or a kustomize component to put onto existing manifests (default: yaml)",
    )
    parser.add_argument("--to", metavar="DIR", help="where kustomize's files are written")
    parser.add_argument(
        "command",
        nargs="*",
        metavar="COMMAND",
        help="of the app, after --; a server's own is put under `lifecycle run --`",
    )


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


def run(options: argparse.Namespace) -> int:
    """Write manifests: 0, or 2 if what was asked for does not add up."""
    try:
        plan = make_plan(options, os.environ)
        _check(plan)
        if options.output == "kustomize":
            _write(component(plan), options.to)
        elif sys.stdout is None:
            return fail("stdout: closed", 1)
        else:
            sys.stdout.write(as_json(plan) if options.output == "json" else as_yaml(objects(plan)))
    except Refused as error:
        return fail(str(error), USAGE)
    if plan.wrapped:
        warn(f"the command is now: {shlex.join(plan.command)}. The image needs pod-lifecycle")
    for sentence in doubts(plan):
        warn(sentence)
    asked = options.readiness_gate
    told = readiness_gate.note(written=plan.registers, asked=asked, env=plan.env)
    if plan.services and told:
        warn(told)
    return 0


def _check(plan: Plan) -> None:
    """Refuse what our own rules would find: the command, or a setting, brings it."""
    findings, _ = check(from_objects(objects(plan)))
    first = {each.rule.name: each for each in reversed(findings) if each.rule.name != DOUBT}
    if first:
        raise Refused(
            "; ".join(f"{name}: {each.message}. {each.rule.fix}" for name, each in first.items())
        )


def _write(files: dict[str, str], folder: str) -> None:
    check_text(f"--to {folder!r}", folder)
    try:
        os.makedirs(folder, exist_ok=True)
        for name, text in files.items():
            path = os.path.join(folder, name)
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            print(path)
    except OSError as error:
        raise Refused(f"--to {folder}: {error.strerror}") from None
