"""`lifecycle fleet why`: what keeps a pod or a Deployment from being ready or gone."""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import TYPE_CHECKING, Final

from lifecycle_fleet.options import add_cluster, add_data, namespace_of

if TYPE_CHECKING:
    from lifecycle_fleet.cluster.api import Api
    from lifecycle_fleet.cluster.targets import Target
    from lifecycle_fleet.why.pod import Verdict

WRONG: Final = 1
REFUSED: Final = 2
"""The exit code without an answer."""


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "target",
        metavar="POD|deploy/NAME",
        help="the name of a pod, or of a Deployment as deploy/NAME",
    )
    parser.add_argument(
        "--no-exec", action="store_true", help="run no commands in the containers of the pods"
    )
    add_data(parser)
    add_cluster(parser)


async def run(options: argparse.Namespace) -> int:
    """Print the answer. Returns 0 if nothing is wrong, and 1 if something is."""
    from lifecycle_fleet.cluster.api import connected
    from lifecycle_fleet.cluster.targets import target_of

    target = target_of(options.target)
    async with connected(options.kubeconfig, options.context) as api:
        namespace = namespace_of(options, api.config.namespace)
        verdict = await _verdict(api, namespace, target, commands=not options.no_exec)
    _print(verdict, options.output or "")
    return WRONG if verdict.wrong else 0


async def _verdict(api: Api, namespace: str, target: Target, *, commands: bool) -> Verdict:
    from lifecycle_fleet.cluster.kinds import DEPLOYMENT, POD
    from lifecycle_fleet.errors import Misused
    from lifecycle_fleet.why import deployment, pod
    from lifecycle_fleet.why.gather import Gatherer

    gatherer = Gatherer(api, namespace, time.time(), commands=commands)
    if target.kind == POD:
        return pod.explain(await gatherer.pod(target))
    if target.kind == DEPLOYMENT:
        return deployment.explain(await gatherer.deployment(target))
    raise Misused(f"{target} is not a pod or a Deployment. Name one of its pods")


def _print(verdict: Verdict, form: str) -> None:
    from lifecycle_fleet.why.report import record, show

    if form == "json":
        print(json.dumps(record(verdict), indent=2))
    elif form == "yaml":
        import yaml

        print(yaml.safe_dump(record(verdict), sort_keys=False), end="")
    else:
        from rich.console import Console

        show(verdict, Console(file=sys.stdout, highlight=False, markup=False, emoji=False))
