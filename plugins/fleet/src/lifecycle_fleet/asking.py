"""Asks one pod something, and prints its answer."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from lifecycle_fleet.cluster.api import connected
from lifecycle_fleet.cluster.in_pod import as_json, place_of, run_lifecycle
from lifecycle_fleet.cluster.targets import one_pod, target_of
from lifecycle_fleet.options import namespace_of
from lifecycle_fleet.view.text import printable_lines


async def ask(
    options: argparse.Namespace, words: Sequence[str], fields: Sequence[str], timeout: float
) -> int:
    """
    Run `lifecycle` in one pod, and print what it writes.

    Args:
        options: The options of the subcommand.
        words: The words after `lifecycle`.
        fields: The fields that its JSON must have.
        timeout: Seconds for an answer.

    Returns:
        The exit code of the command in the pod.
    """
    target = target_of(options.target)
    async with connected(options.kubeconfig, options.context) as api:
        namespace = namespace_of(options, api.config.namespace)
        pod, count = await one_pod(api, namespace, target)
        place = place_of(pod, options.container)
        if count > 1:
            print(f"lifecycle: this is {place}, one of {count} of {target}", file=sys.stderr)
        as_data = ["--json"] if options.output else []
        ran = await run_lifecycle(api, place, [*words, *as_data], timeout)
    if not options.output:
        if ran.err:
            print(printable_lines(ran.err), file=sys.stderr)
        if ran.out:
            print(printable_lines(ran.out))
        return ran.code
    found = as_json(ran, place, words[0], fields)
    if options.output == "json":
        print(json.dumps(found, indent=2))
    else:
        import yaml

        print(yaml.safe_dump(found, sort_keys=False), end="")
    return 0
