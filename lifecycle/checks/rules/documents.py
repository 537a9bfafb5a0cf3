"""Rules about manifests of any kind."""

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

    kubectl keeps the last value without a warning. The first value never reaches the cluster.
    For example, of two `env` lists only the second one takes effect.
    kustomize and Flux refuse the file, because YAML 1.2 does not allow a key twice.

    Severity:
        If both values are the same, the finding is a warning.

    Scope:
        The rule looks at every Kubernetes object, not only at those with pods.
    """
    met = set()
    for found in _repeated(workload.node):
        place = found.node.line, found.message.partition(" is ")[2]
        if place not in met:  # an alias repeats the text of its anchor
            met.add(place)
            yield found


def _repeated(node: Node) -> Iterator[Found]:
    for key, first in node.repeated:
        last = node.at(key)
        what = last.path.removeprefix("$.")
        message = f"{what} is written twice. kubectl uses the value in line {last.line}"
        if first.line != last.line:
            message += f", not the value in line {first.line}"
        same = first.plain() == last.plain()
        yield Found(last, message, Severity.WARNING if same else None)
    inner = node.value.values() if isinstance(node.value, dict) else node.value
    for each in inner if isinstance(node.value, (dict, list)) else ():
        yield from _repeated(each)
