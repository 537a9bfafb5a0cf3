"""`lifecycle manifests`: write manifests in which `lifecycle check` finds no problem."""

from __future__ import annotations

import argparse
import os
import shlex
import sys

from lifecycle.checks.check import check
from lifecycle.checks.reading.documents import from_objects
from lifecycle.cli.console import USAGE, fail, warn
from lifecycle.manifests import control_plane, metrics, readiness_gate
from lifecycle.manifests.objects import objects
from lifecycle.manifests.output import as_json, as_yaml, component
from lifecycle.manifests.plan import Plan, doubts, make_plan, misspelt, unopened
from lifecycle.manifests.validation import Refused, check_text

DOUBT = "unknown-variable"
"""The rule whose findings are only warnings here. `doubts` has its own text for them."""


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `lifecycle manifests`."""
    parser.add_argument(
        "--name", required=True, help="name of the Deployment and of the objects that belong to it"
    )
    parser.add_argument(
        "--image", metavar="IMAGE", help="image of the app. Required, except with -o kustomize"
    )
    parser.add_argument(
        "--service",
        action="append",
        default=[],
        metavar="NAME:PORT",
        help="name and port of an app service. May be repeated (default: the services in the app's "
        "command, or LIFECYCLE_SERVICES)",
    )
    parser.add_argument(
        "--env",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="variable of the app. May be repeated. The LIFECYCLE_* variables of your shell are "
        "copied too",
    )
    parser.add_argument("--replicas", type=_count, metavar="N", help="number of pods (default: 2)")
    parser.add_argument(
        "--profile",
        choices=("app", "sidecar-istio", "job", "job-istio", control_plane.NAME),
        default="app",
        help="kind of app: app, sidecar-istio, job or job-istio. control-plane: the page of "
        "lifecycle-fleet, which needs no command (default: app)",
    )
    parser.add_argument(
        "--namespace",
        metavar="NAMESPACE",
        help="namespace of all objects, only with --profile=control-plane",
    )
    parser.add_argument(
        "--namespaced",
        action="store_true",
        help="show only the pods of this namespace, only with --profile=control-plane (default: the "
        "pods of all namespaces)",
    )
    parser.add_argument(
        "--auth",
        choices=("none", "token"),
        help="access to the page, only with --profile=control-plane. token: for users that may list the "
        "pods. none: for each client that the NetworkPolicy lets in (default: none)",
    )
    parser.add_argument(
        "--allow-from",
        action="append",
        default=[],
        metavar="NAMESPACE",
        help="namespace whose pods may open the page, for example that of your ingress. May be "
        "repeated. Only with --profile=control-plane",
    )
    parser.add_argument(
        "--prestop",
        type=_prestop,
        default="exec",
        metavar="exec|http",
        help="kind of the preStop hook, which starts the drain. http adds a token to the manifest "
        "(default: exec)",
    )
    parser.add_argument(
        "--guaranteed",
        action="store_true",
        help="set requests and limits to the same values, which gives the pod Kubernetes' QoS class "
        "Guaranteed",
    )
    parser.add_argument(
        "--cpu", default="250m", help="CPU request of the container (default: 250m)"
    )
    parser.add_argument(
        "--memory",
        default="256Mi",
        help="memory request and limit of the container (default: 256Mi)",
    )
    parser.add_argument(
        "--user",
        type=_uid,
        metavar="UID",
        help="uid that the app runs as (default: 10001. With -o kustomize, the default is to keep "
        "the security context of the Deployment)",
    )
    parser.add_argument(
        "--container", metavar="NAME", help="name of the container (default: the value of --name)"
    )
    parser.add_argument(
        "--start-time",
        type=_start_time,
        metavar="SECONDS",
        help="time limit for a start, for example of an app that loads a model. The startup probe "
        "allows this time (default: 120)",
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
        "--metrics",
        choices=metrics.WAYS,
        help="how Prometheus finds the metrics of lifecycle-prometheus. annotations: for a "
        "Prometheus that reads the annotations prometheus.io/…. podmonitor: for Prometheus Operator",
    )
    parser.add_argument(
        "-o",
        dest="output",
        choices=("yaml", "json", "kustomize"),
        default="yaml",
        help="format: yaml, json, or a kustomize component for an existing Deployment (default: "
        "yaml)",
    )
    parser.add_argument("--to", metavar="DIR", help="folder for the files of -o kustomize")
    parser.add_argument(
        "command",
        nargs="*",
        metavar="COMMAND",
        help="command of the app, after --. If it starts a server such as gunicorn, or a worker such "
        "as celery, `lifecycle run --` is put in front",
    )


def _count(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text[:9]) <= 10_000 or len(text) > 5:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 10000")
    return int(text)


def _start_time(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text[:9]) <= 86_400 or len(text) > 5:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 1 to 86400")
    return int(text)


def _uid(text: str) -> int:
    if not text.isdecimal() or len(text) > 10 or not 0 < int(text) < 2**31:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a uid from 1 to 2147483647. 0 is root, which the manifest does not allow"
        )
    return int(text)


def _prestop(text: str) -> str:
    if text.partition(":")[0] == "sleep":
        raise argparse.ArgumentTypeError(
            "a preStop sleep starts no drain. The app stays registered during the sleep, and "
            "requests on keep-alive connections are lost afterwards. To wait longer in the drain, "
            "use --env LIFECYCLE_SETTLE=SECONDS"
        )
    if text not in ("exec", "http"):
        raise argparse.ArgumentTypeError(f"{text!r} must be exec or http")
    return text


def run(options: argparse.Namespace) -> int:
    """
    Write the manifests.

    Args:
        options: The parsed options.

    Returns:
        0 if the manifests are written, 1 if stdout is closed, 2 if they are refused.
    """
    try:
        plan = make_plan(options, os.environ)
        _check(plan)
        if options.output == "kustomize":
            _write(component(plan), options.to)
        elif sys.stdout is None:
            return fail(
                "cannot write the manifests: stdout is closed", 1, see="errors.md#output-failed"
            )
        else:
            sys.stdout.write(as_json(plan) if options.output == "json" else as_yaml(objects(plan)))
    except Refused as error:
        return fail(error, USAGE)
    if plan.wrapped:
        warn(
            f"the command is now: {shlex.join(plan.command)}. Install pod-lifecycle in the image, "
            "because the command needs it",
            see="errors.md#changed-command",
        )
    if sentence := unopened(plan):
        warn(sentence, see="errors.md#no-probe-port")
    for sentence in misspelt(plan):
        warn(sentence, see="unknown-setting")
    for sentence in doubts(plan):
        warn(sentence, see="errors.md#doubtful-service")
    if plan.metrics and (sentence := metrics.note()):
        warn(sentence, see="errors.md#metrics-need-the-plugin")
    asked = bool(options.readiness_gate) if plan.control_plane else options.readiness_gate
    told = readiness_gate.note(written=plan.registers, asked=asked, env=plan.env)
    if plan.services and told:
        warn(told, see=readiness_gate.PAGE)
    return 0


def _check(plan: Plan) -> None:
    """Refuse manifests in which `lifecycle check` finds a problem of the command or a setting."""
    findings, _ = check(from_objects(objects(plan)))
    first = {each.rule.name: each for each in reversed(findings) if each.rule.name != DOUBT}
    if first:
        raise Refused(
            " ".join(
                f"{name}: {each.message}. {each.fix} See {each.rule.page}."
                for name, each in first.items()
            ).removesuffix("."),
            see="errors.md#command-with-a-finding",
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
        raise Refused(f"cannot write to --to {folder}: {error.strerror}") from None
