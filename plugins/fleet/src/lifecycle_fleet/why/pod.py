"""Why one pod is not ready or not gone. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from lifecycle_fleet.why.caveats import Caveat, of_facts
from lifecycle_fleet.why.facts import Facts
from lifecycle_fleet.why.finding import Finding, findings
from lifecycle_fleet.why.reading import objects, part, text, words
from lifecycle_fleet.why.rules import RULES

FINE: Final = ("ready", "complete")
"""States in which nothing keeps a pod from anything."""


class Verdict(NamedTuple):
    """
    The answer about one pod or one Deployment.

    Attributes:
        target: The pod or the Deployment, for example `pod/orders-1`.
        namespace: Its namespace.
        state: Its state in a word, for example `ready` or `terminating`.
        headline: A sentence about its state.
        findings: The findings, the cause before its consequences, and then the notes.
        caveats: The evidence that may be missing.
    """

    target: str
    namespace: str
    state: str
    headline: str
    findings: tuple[Finding, ...]
    caveats: tuple[Caveat, ...]

    @property
    def wrong(self) -> bool:
        """Whether anything is wrong, or not as far as it should be."""
        return self.state not in FINE or any(not each.note for each in self.findings)


def explain(facts: Facts) -> Verdict:
    """Return why a pod is not ready or not gone."""
    found = findings(RULES, facts)
    state = state_of(facts)
    return Verdict(
        words(f"pod/{facts.name}"),
        words(facts.namespace),
        state,
        words(f"pod/{facts.name} {_headline(facts, state)}"),
        ordered(found),
        of_facts(facts, found),
    )


def ordered(found: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return what is wrong before what is only worth knowing."""
    return tuple(sorted(found, key=lambda each: each.note))


def state_of(facts: Facts) -> str:
    """Return the state of a pod in a word."""
    if facts.leaving:
        return "terminating"
    if facts.phase == "Succeeded":
        return "complete"
    if facts.phase == "Failed":
        return "failed"
    return "ready" if facts.ready else "not ready"


def _headline(facts: Facts, state: str) -> str:
    if state != "ready":
        known = {
            "complete": "is complete.",
            "failed": "has failed.",
            "terminating": "is terminating.",
        }
        return known.get(state, "is not ready.")
    if facts.unread("endpointslices"):
        return "is ready."
    return {
        True: "is ready, and clients find it.",
        False: "is ready, but clients do not find it.",
        None: "is ready. No Service has it as an endpoint.",
    }[found_by_clients(facts)]


def found_by_clients(facts: Facts) -> bool | None:
    """Return whether clients find a pod in a Service. None if no EndpointSlice has it."""
    found = [
        part(each, "conditions", "ready") is not False
        for piece in facts.slices
        for each in objects(piece, "endpoints")
        if text(each, "targetRef", "name") == facts.name
    ]
    return any(found) if found else None
