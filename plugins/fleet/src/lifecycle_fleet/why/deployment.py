"""Why a rollout is not complete: the findings of the Deployment and of its pods. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from lifecycle_fleet.why.caveats import MORE, Caveat, caveat, of_missing, of_pod
from lifecycle_fleet.why.finding import Finding, findings
from lifecycle_fleet.why.pod import Verdict, found_by_clients, is_cut_off, ordered
from lifecycle_fleet.why.reading import words
from lifecycle_fleet.why.rules import RULES
from lifecycle_fleet.why.rules.rollouts import CAUSES, CONSEQUENCES
from lifecycle_fleet.why.workload import Workload

AFTER: Final = 1000
"""The rank of the first consequence for the Deployment."""
_DURATION: Final = re.compile(r"\d[\d.]* (?:s|min|h|days)\b")

_NUMBER: Final = re.compile(r"\d+")


def explain(found: Workload) -> Verdict:
    """Return why the rollout of a Deployment is not complete."""
    causes = findings(CAUSES, found)
    of_pods = tuple(_of_pods(found))
    known = [each for each in (*causes, *of_pods) if not each.note]
    consequences = tuple(
        each._replace(rank=each.rank + AFTER)
        for each in findings([rule for rule in CONSEQUENCES if not (rule.alone and known)], found)
    )
    return Verdict(
        words(f"deploy/{found.name}"),
        words(found.namespace),
        "ready" if found.complete else "not ready",
        words(f"The rollout of deploy/{found.name} {_headline(found, of_pods)}"),
        ordered((*causes, *of_pods, *consequences)),
        tuple(_caveats(found, of_pods)),
    )


def _of_pods(found: Workload) -> Iterator[Finding]:
    """Yield the findings of the pods, those of the newest ReplicaSet first, the same one once."""
    groups: dict[tuple[str, str, bool], list[Finding]] = {}
    names: dict[tuple[str, str, bool], list[str]] = {}
    places: dict[tuple[str, str, bool], tuple[int, int]] = {}
    for pod in sorted(found.pods, key=found.place):
        for each in findings(RULES, pod):
            key = each.rule, _DURATION.sub("…", each.sentence), each.note
            groups.setdefault(key, []).append(each)
            names.setdefault(key, []).append(words(pod.name))
            places.setdefault(key, (found.place(pod), each.rank))
    for key in sorted(groups, key=places.__getitem__):
        yield groups[key][0]._replace(pods=tuple(dict.fromkeys(names[key])))


def _headline(found: Workload, of_pods: tuple[Finding, ...]) -> str:
    available = found.count("availableReplicas")
    if found.complete:
        if not found.wanted:
            return "is complete, with 0 pods."
        return f"is complete. {_pods(available)} available{_found_by_clients(found, of_pods)}."
    new, old = found.count("updatedReplicas"), found.count("replicas")
    old = max(0, old - new)
    more = f" {_pods(old)} old." if old else ""
    ready = sum(each.ready for each in found.new_pods())
    return f"is not complete. {ready} of {found.wanted} new pods are ready.{more}"


def _pods(number: int) -> str:
    return "1 pod is" if number == 1 else f"{number} pods are"


def _found_by_clients(found: Workload, of_pods: tuple[Finding, ...]) -> str:
    new = [*found.new_pods()]
    if is_cut_off(of_pods):
        return ", but clients of a Service cannot connect"
    if not new or any(each.unread("endpointslices") for each in new):
        return ""
    them = "it" if len(new) == 1 else "them"
    return f", and clients find {them}" if all(map(found_by_clients, new)) else ""


def _caveats(found: Workload, of_pods: tuple[Finding, ...]) -> Iterator[Caveat]:
    missing = [*found.missing, *(each for pod in found.pods for each in pod.missing)]
    yield from of_missing(missing)
    said = set()
    for pod in found.pods:
        mine = [each for each in of_pods if words(pod.name) in each.pods]
        for each in of_pod(pod, mine):
            kind = _NUMBER.sub("…", each.sentence)
            if kind not in said:
                said.add(kind)
                yield each
    if found.more:
        yield caveat(MORE, number=found.more)
