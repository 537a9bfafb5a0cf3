"""The last rule, for a pod that no other rule explains."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lifecycle_fleet.why.facts import Facts
from lifecycle_fleet.why.finding import Found, Saying, Table
from lifecycle_fleet.why.reading import objects, text, words

RULES: Final[Table[Facts]] = Table()

NOT_READY: Final = Saying(
    "The pod is not ready, and none of the known causes applies.",
    "kubectl -n {ns} describe pod {pod}",
)
JUST_READY: Final = Saying(
    "All containers are ready. The kubelet has not updated the condition Ready yet.",
    "Wait",
)
DISAGREES: Final = Saying(
    "The app in container {container} answers that it is ready, but its readinessProbe has not passed "
    "for the kubelet.",
    "kubectl -n {ns} describe pod {pod}",
)
FAILED: Final = Saying(
    "The pod has failed, and none of the known causes applies.",
    "kubectl -n {ns} describe pod {pod}",
)


@RULES.add("unexplained", NOT_READY, JUST_READY, DISAGREES, FAILED, alone=True)
def unexplained(facts: Facts) -> Iterator[Found]:
    """
    None of the known causes applies to the pod.

    The evidence is what the pod itself has: its conditions that are not True, and its last warning.
    Please report such a pod, so that a rule can be added.
    """
    if facts.ready or facts.leaving or facts.phase == "Succeeded":
        return
    conditions = [
        f"status.conditions: {text(each, 'type')}: {text(each, 'status')}: "
        f"{text(each, 'reason')} {text(each, 'message')}"
        for each in objects(facts.status, "conditions")
        if text(each, "status") != "True"
    ]
    warnings = [each.quoted(facts.now) for each in facts.events if each.warning][-1:]
    yield _saying(facts).found(
        f"status.phase: {facts.phase or 'unknown'}",
        *map(words, conditions),
        *warnings,
        ns=facts.namespace,
        pod=facts.name,
        container=facts.app.name if facts.app else "",
    )


def _saying(facts: Facts) -> Saying:
    if facts.phase == "Failed":
        return FAILED
    if facts.condition("ContainersReady") == "True" and not facts.gates:
        return JUST_READY
    waits = facts.app is not None and facts.app.running and not facts.app.ready
    is_ready = facts.answers.state == "ready" and all(each.ok for each in facts.answers.probes())
    return DISAGREES if waits and is_ready else NOT_READY
