"""`lifecycle fleet why`: what keeps a pod or a Deployment from being ready or gone."""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import TYPE_CHECKING, Final

from lifecycle_fleet.options import add_cluster

if TYPE_CHECKING:
    from lifecycle_fleet.cluster.api import Api
    from lifecycle_fleet.why.pod import Verdict

WRONG: Final = 1
NO_ACCESS: Final = 2
KINDS: Final = {
    "pod": "pod",
    "pods": "pod",
    "po": "pod",
    "deploy": "deploy",
    "deployment": "deploy",
    "deployments": "deploy",
    "deployment.apps": "deploy",
    "deployments.apps": "deploy",
}
"""The kinds that can be asked about, as kubectl names them."""


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "target", metavar="POD|deploy/NAME", help="the pod or the Deployment to explain"
    )
    parser.add_argument(
        "-o", "--output", choices=("json", "yaml"), metavar="FORM", help="print json or yaml"
    )
    parser.add_argument(
        "--no-exec", action="store_true", help="run no commands in the containers of the pods"
    )
    add_cluster(parser)


async def run(options: argparse.Namespace) -> int:
    """Print the answer. Returns 0 if nothing is wrong, 1 if something is, and 2 without access."""
    from lifecycle_fleet.errors import FleetError

    try:
        verdict = await _explained(options)
    except FleetError as error:
        error.exit_code = NO_ACCESS
        raise
    except ExceptionGroup as group:
        found = _first(group)
        if not isinstance(found, FleetError):
            raise
        found.exit_code = NO_ACCESS
        raise found from None
    _print(verdict, options.output or "")
    return WRONG if verdict.wrong else 0


async def _explained(options: argparse.Namespace) -> Verdict:
    from lifecycle_fleet.cluster.api import connected
    from lifecycle_fleet.options import namespace_of

    kind, name = _target(options.target)
    async with connected(options.kubeconfig, options.context) as api:
        namespace = namespace_of(options, api.config.namespace) or "default"
        return await _verdict(api, kind, namespace, name, commands=not options.no_exec)


async def _verdict(api: Api, kind: str, namespace: str, name: str, *, commands: bool) -> Verdict:
    from lifecycle_fleet.cluster.failures import NOT_FOUND
    from lifecycle_fleet.errors import ApiServerError, FleetError
    from lifecycle_fleet.why import deployment, pod
    from lifecycle_fleet.why.gather import Gatherer

    gatherer = Gatherer(api, namespace, time.time(), commands=commands)
    try:
        if kind == "deploy":
            return deployment.explain(await gatherer.deployment(name))
        return pod.explain(await gatherer.pod(name))
    except ApiServerError as error:
        if error.state != NOT_FOUND:
            raise
        raise FleetError(
            f"there is no {kind} {name} in the namespace {namespace}. "
            f"To see all names, run kubectl -n {namespace} get {kind}",
            see="errors.md#fleet-no-target",
        ) from None


def _target(given: str) -> tuple[str, str]:
    """
    Return the kind and the name of a target.

    Raises:
        FleetError: The target is not a pod or a Deployment.
    """
    from lifecycle_fleet.errors import FleetError

    kind, slash, name = given.partition("/")
    if not slash:
        kind, name = "pod", given
    known = KINDS.get(kind.lower())
    if known is None or not name or "/" in name:
        raise FleetError(
            f"{given!r} is not a target. Name a pod, or a Deployment as deploy/NAME",
            see="errors.md#fleet-wrong-target",
        )
    return known, name


def _print(verdict: Verdict, form: str) -> None:
    from lifecycle_fleet.why.report import record, show

    if form == "json":
        print(json.dumps(record(verdict), indent=2))
    elif form == "yaml":
        import yaml

        print(yaml.safe_dump(record(verdict), sort_keys=False, allow_unicode=False), end="")
    else:
        from rich.console import Console

        show(verdict, Console(file=sys.stdout, highlight=False, markup=False, emoji=False))


def _first(group: BaseExceptionGroup[Exception]) -> Exception | BaseExceptionGroup[Exception]:
    found: Exception | BaseExceptionGroup[Exception] = group
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found
