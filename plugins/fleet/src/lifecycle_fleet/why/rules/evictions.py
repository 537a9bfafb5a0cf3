"""Rules on PodDisruptionBudgets that keep a node from being drained."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lifecycle_fleet.why.facts import Facts
from lifecycle_fleet.why.finding import Found, Saying, Table
from lifecycle_fleet.why.reading import Object, mapping, objects, part, text, whole
from lifecycle_fleet.why.selectors import selects

RULES: Final[Table[Facts]] = Table()

SEVERAL: Final = Saying(
    "The pod is selected by several PodDisruptionBudgets ({names}), so the API server refuses each "
    "eviction of it.",
    "kubectl -n {ns} delete pdb NAME",
)
BLOCKED: Final = Saying(
    "The node {node} is cordoned, but the pod cannot be evicted from it. The PodDisruptionBudget "
    "{name} allows no disruption now, because {healthy} of {expected} pods are healthy, and "
    "{desired} must stay healthy.",
    "Wait until the other pods are healthy, or raise the replicas",
)
NEVER: Final = Saying(
    "The node {node} is cordoned, but the pod can never be evicted from it. The PodDisruptionBudget "
    "{name} has {rule}, so it needs all of its pods ({expected}).",
    "kubectl -n {ns} patch pdb {name} --type=merge "
    '-p \'{{"spec": {{"minAvailable": null, "maxUnavailable": 1}}}}\'',
)
NOTE: Final = Saying(
    "No eviction of the pod is ever allowed, so its node cannot be drained. The PodDisruptionBudget "
    "{name} has {rule}, so it needs all of its pods ({expected}).",
    "kubectl -n {ns} patch pdb {name} --type=merge "
    '-p \'{{"spec": {{"minAvailable": null, "maxUnavailable": 1}}}}\'',
    note=True,
)
UNKNOWN: Final = Saying(
    "The node {node} is cordoned, but the pod cannot be evicted from it. The controller has not "
    "computed the PodDisruptionBudget {name} yet.",
    "kubectl -n {ns} describe pdb {name}",
)


@RULES.add("eviction", SEVERAL, BLOCKED, NEVER, NOTE, UNKNOWN, aside=True)
def eviction(facts: Facts) -> Iterator[Found]:
    """
    A PodDisruptionBudget keeps the pod on its node.

    `kubectl drain` evicts each pod of a node. The API server refuses an eviction if a
    PodDisruptionBudget would be broken, and `kubectl drain` tries again every 5 seconds. A budget
    with `maxUnavailable: 0`, or with `minAvailable` as high as the replicas, blocks every drain.
    """
    if facts.leaving or facts.over or not text(facts.spec, "nodeName"):
        return
    budgets = [
        each
        for each in facts.budgets
        if "selector" in mapping(each, "spec")  # without one, a budget selects no pod
        and selects(mapping(each, "spec", "selector"), facts.labels)
    ]
    if len(budgets) > 1 and facts.phase != "Pending":
        names = ", ".join(text(each, "metadata", "name") for each in budgets)
        yield SEVERAL.found(f"PodDisruptionBudgets: {names}", names=names, ns=facts.namespace)
        return
    for each in budgets:
        saying = _saying(facts, each)
        if saying is not None:
            yield saying.found(
                *_evidence(facts, each),
                node=text(facts.spec, "nodeName"),
                name=text(each, "metadata", "name"),
                rule=_rule(each),
                healthy=whole(each, "status", "currentHealthy"),
                desired=whole(each, "status", "desiredHealthy"),
                expected=whole(each, "status", "expectedPods"),
                ns=facts.namespace,
            )


def _saying(facts: Facts, budget: Object) -> Saying | None:
    cordoned = part(facts.node, "spec", "unschedulable") is True
    if not mapping(budget, "status") or _is_stale(budget):
        return UNKNOWN if cordoned else None
    if whole(budget, "status", "disruptionsAllowed") > 0 or _may_go_anyway(facts, budget):
        return None
    desired, expected = (
        whole(budget, "status", each) for each in ("desiredHealthy", "expectedPods")
    )
    if 0 < expected <= desired:
        return NEVER if cordoned else NOTE
    return BLOCKED if cordoned else None


def _is_stale(budget: Object) -> bool:
    seen = whole(budget, "status", "observedGeneration")
    return seen < whole(budget, "metadata", "generation")


def _may_go_anyway(facts: Facts, budget: Object) -> bool:
    """Return whether the API server evicts the pod although the budget allows no disruption."""
    if facts.phase == "Pending":
        return True
    if facts.ready:
        return False
    if text(budget, "spec", "unhealthyPodEvictionPolicy") == "AlwaysAllow":
        return True
    healthy, desired = (
        whole(budget, "status", each) for each in ("currentHealthy", "desiredHealthy")
    )
    return healthy >= desired > 0


def _rule(budget: Object) -> str:
    for name in ("minAvailable", "maxUnavailable"):
        value = part(budget, "spec", name)
        if value is not None:
            return f"{name}: {value}"
    return "no rule"


def _evidence(facts: Facts, budget: Object) -> Iterator[str]:
    name = text(budget, "metadata", "name")
    status = mapping(budget, "status")
    fields = ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods")
    told = ", ".join(f"{each} {whole(status, each)}" for each in fields)
    yield f"PodDisruptionBudget {name}: status: {told}"
    yield f"PodDisruptionBudget {name}: spec: {_rule(budget)}"
    if part(facts.node, "spec", "unschedulable") is True:
        yield f"node {text(facts.spec, 'nodeName')}: spec.unschedulable: true"
    for each in objects(status, "conditions"):
        if text(each, "reason") == "SyncFailed":
            yield f"PodDisruptionBudget {name}: {text(each, 'message')}"
