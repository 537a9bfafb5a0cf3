"""Evidence that may be missing, because of rights, expired events, or pods that do not answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from lifecycle_fleet.why.events import KEPT, MANY, reported
from lifecycle_fleet.why.facts import Facts, Missing
from lifecycle_fleet.why.finding import Finding, Saying
from lifecycle_fleet.why.fix import rendered, shown
from lifecycle_fleet.why.reading import seconds, whole
from lifecycle_fleet.why.rules.probe_failures import SIGNALLED

NO_RIGHT: Final = Saying(
    "You may not read {what}, so findings that need {what} are missing.",
    "Ask for this rule in a {role}: {right}",
)
NOT_READ: Final = Saying(
    "The command could not read {what} ({why}), so findings that need {what} are missing.",
    "Run the command again",
)
NOT_ASKED: Final = Saying(
    "The app in the pod did not answer. {why}",
    "kubectl -n {ns} exec {pod} -- lifecycle status",
)
EXPIRED: Final = Saying(
    "The API server keeps events for an hour by default. The pod is {age} old, so events of its start "
    "may be missing.",
    "If a cause is missing, delete the pod, and look at its replacement within an hour",
)
DROPPED: Final = Saying(
    "The pod has had {number} events. Of a pod with many events, the kubelet reports only one in 5 "
    "minutes, so newer ones may be missing.",
    "kubectl -n {ns} logs {pod}",
)
DROPPED_BEFORE_START: Final = Saying(
    "The pod has had {number} events, and none of its containers has run. Of a pod with many events, "
    "the kubelet reports only one in 5 minutes, so newer ones may be missing.",
    "kubectl -n {ns} get pod {pod} -o yaml",
)
MORE: Final = Saying(
    "{number} more pods of the Deployment were not looked at, because pods with the same cause are "
    "likely.",
    "Run lifecycle fleet why POD for one of them",
)
CAVEATS: Final = (NO_RIGHT, NOT_READ, NOT_ASKED, EXPIRED, DROPPED, DROPPED_BEFORE_START, MORE)
"""All sentences about the evidence."""


class Caveat(NamedTuple):
    """Something that may be missing from the evidence, and what to do about it."""

    sentence: str
    fix: str


def of_missing(missing: Iterable[Missing]) -> Iterator[Caveat]:
    """Yield what could not be read, each thing once."""
    for each in dict.fromkeys(missing):
        role = "ClusterRole" if each.cluster else "Role"
        if each.why == "forbidden":
            yield caveat(NO_RIGHT, what=each.what, role=role, right=each.right)
        elif each.why != "not found":
            yield caveat(NOT_READ, what=each.what, why=each.why)


def of_facts(facts: Facts, found: Iterable[Finding]) -> tuple[Caveat, ...]:
    """Return what may be missing from the evidence about a pod."""
    return (*of_missing(facts.missing), *of_pod(facts, found))


def of_pod(facts: Facts, found: Iterable[Finding]) -> Iterator[Caveat]:
    """Yield what may be missing besides what could not be read."""
    names = {each.rule for each in found if not each.note}
    settled = facts.ready or facts.phase == "Succeeded"
    if settled and not names:
        return
    if facts.answers.problem and not facts.answers.no_program:
        yield caveat(NOT_ASKED, why=facts.answers.problem, ns=facts.namespace, pod=facts.name)
    number = reported(facts.events)
    if number >= MANY and not _is_explained(facts, names):
        has_run = any(each.running or each.ended for each in facts.containers)
        saying = DROPPED if has_run else DROPPED_BEFORE_START
        yield caveat(saying, number=number, ns=facts.namespace, pod=facts.name)
    if facts.age > KEPT and not facts.unread("events"):
        yield caveat(EXPIRED, age=seconds(facts.age))


def _is_explained(facts: Facts, names: Iterable[str]) -> bool:
    """Return whether no event that is missing could tell another cause."""
    causes = {*names} - {"unexplained"}
    if facts.ready:
        return True
    if causes <= {"starting"}:
        return bool(causes and facts.answers.state)
    codes = {whole(each.ended, "exitCode") for each in facts.containers if each.ended}
    by_signal = bool(codes & {*SIGNALLED})  # an event would tell whether a probe has ended it
    return not (causes == {"crash"} and by_signal)


def caveat(saying: Saying, **fields: object) -> Caveat:
    """Return a sentence about the evidence."""
    return Caveat(saying.sentence.format_map(shown(fields)), rendered(saying.fix, fields))
