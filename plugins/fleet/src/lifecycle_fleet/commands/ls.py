"""`lifecycle fleet ls`: the pods that run pod-lifecycle."""

from __future__ import annotations

import argparse

from lifecycle_fleet.options import add_cluster, add_output, add_selection, namespace_of


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--all", action="store_true", help="also pods without pod-lifecycle")
    add_selection(parser)
    add_output(parser)
    add_cluster(parser)


async def run(options: argparse.Namespace) -> int:
    """Print the pods once, or each change with `--watch`."""
    from lifecycle_fleet.cluster.api import connected
    from lifecycle_fleet.cluster.kinds import POD, SLICE
    from lifecycle_fleet.view.endpoints import Endpoints
    from lifecycle_fleet.view.pod import view

    async with connected(options.kubeconfig, options.context) as api:
        namespace = namespace_of(options, api.config.namespace)
        _, pods = await api.list(POD, namespace, labels=options.selector)
        _, slices = await api.list(SLICE, namespace)
        endpoints = Endpoints(slices)
        for each in pods:
            name = each["metadata"]["namespace"], each["metadata"]["name"]
            print(view(each, in_slices=endpoints.of(*name)))
    return 0
