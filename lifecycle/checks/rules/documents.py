"""Rules about what a manifest says, whatever it describes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lifecycle.checks.node import Node
from lifecycle.checks.rule import Found, Severity, Table
from lifecycle.checks.workloads.workload import Workload

RULES: Final = Table()


@RULES.add(
    "duplicate-key",
    Severity.ERROR,
    sources=(
        "https://github.com/kubernetes/kubernetes/issues/99286",
        "https://yaml.org/spec/1.2.2/#3213-node-comparison",
    ),
    fix="Keep one of the two. If you need both values, write them into one list or mapping.",
)
def duplicate_key(workload: Workload) -> Iterator[Found]:
    """A key is written twice in one mapping.

    kubectl keeps the last value, and does not warn you. The first value never reaches the cluster.
    For example, of two `env` lists only the second one is set.
    kustomize and Flux refuse the file. YAML 1.2 does not allow it.
    It is a warning if both values are the same.
    This rule looks at every Kubernetes object, not only at those with pods.
    """
    met = set()
    for found in _repeated(workload.node):
        place = found.node.line, found.message.partition(" is ")[2]
        if place not in met:  # an alias repeats what its anchor says
            met.add(place)
            yield found


def _repeated(node: Node) -> Iterator[Found]:
    for key, first in node.repeated:
        last = node.at(key)
        what = last.path.removeprefix("$.")
        message = f"{what} is written twice. The value in line {last.line} counts"
        if first.line != last.line:
            message += f", not the one in line {first.line}"
        same = first.plain() == last.plain()
        yield Found(last, message, Severity.WARNING if same else None)
    inner = node.value.values() if isinstance(node.value, dict) else node.value
    for each in inner if isinstance(node.value, (dict, list)) else ():
        yield from _repeated(each)
