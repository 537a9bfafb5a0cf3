"""Asks for the pods, and prints them."""

from __future__ import annotations

import argparse
import sys

from lifecycle_fleet.cluster.api import Api, connected
from lifecycle_fleet.cluster.kinds import EVENT, POD, SLICE
from lifecycle_fleet.errors import ApiServerError
from lifecycle_fleet.listing.missing import HOOK_FAILED, say_missing
from lifecycle_fleet.listing.printing import Printer, printer_of
from lifecycle_fleet.listing.watching import Watch
from lifecycle_fleet.options import namespace_of
from lifecycle_fleet.view import pruned
from lifecycle_fleet.view.listing import Listing


async def run(options: argparse.Namespace) -> int:
    """Print the pods once, or each change with `--watch`."""
    async with connected(options.kubeconfig, options.context) as api:
        namespace = namespace_of(options, api.config.namespace)
        listing = Listing(all_pods=options.all)
        printer = printer_of(options)
        if options.watch:
            await Watch(api, listing, printer, namespace, options.selector).run()
        else:
            await once(api, listing, namespace, options.selector)
            printer.all(listing.pods())
            _nothing(printer, options, namespace)
    return 0


async def once(api: Api, listing: Listing, namespace: str, labels: str) -> None:
    """Read all that a list shows."""
    _, pods = await api.list(POD, namespace, labels=labels, keep=pruned.pod)
    for each in pods:
        listing.put_pod(each)
    try:
        for each in (await api.list(SLICE, namespace, keep=pruned.piece))[1]:
            if listing.endpoints is not None:
                listing.endpoints.put(each)
    except ApiServerError as error:
        say_missing(error, SLICE, namespace, listing)
    try:
        for each in (await api.list(EVENT, namespace, fields=HOOK_FAILED))[1]:
            listing.put_event(each)
    except ApiServerError as error:
        say_missing(error, EVENT, namespace, listing)


def _nothing(printer: Printer, options: argparse.Namespace, namespace: str) -> None:
    if printer.printed or options.output in ("json", "yaml"):
        return
    where = f"in the namespace {namespace}" if namespace else "in any namespace"
    matching = f" with the labels {options.selector}" if options.selector else ""
    if options.all:
        text = f"there are no pods {where}{matching}"
    else:
        text = f"no pod {where}{matching} runs pod-lifecycle. To see all pods, pass --all"
    print(f"lifecycle: {text}", file=sys.stderr)
