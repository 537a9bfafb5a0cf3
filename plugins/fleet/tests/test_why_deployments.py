"""A Deployment is explained by its own findings and those of its pods."""

from __future__ import annotations

import pytest
from lifecycle_fleet.why.deployment import explain
from lifecycle_fleet.why.finding import Saying
from lifecycle_fleet.why.rules.rollouts import CAUSES, CONSEQUENCES

from plugins.fleet.tests.why_deployments import ROLLOUTS, WORKLOADS, Rollout


@pytest.mark.parametrize("rollout", ROLLOUTS.values(), ids=ROLLOUTS)
def test_a_rollout_is_explained(rollout: Rollout) -> None:
    """The rules say what is wrong, the cause first, and the headline says how far it is."""
    verdict = explain(rollout.workload)

    wrong = tuple(dict.fromkeys(each.rule for each in verdict.findings if not each.note))
    assert wrong == rollout.rules
    assert verdict.headline.startswith(f"The rollout of deploy/orders {rollout.headline}")
    assert verdict.wrong == bool(rollout.rules)


def test_the_same_finding_is_said_once_with_the_names_of_all_pods() -> None:
    """Three pods that an administrator has taken offline are one finding."""
    (found,) = explain(ROLLOUTS["three pods with the same finding"].workload).findings

    assert found.pods == ("a", "b", "c")


def test_findings_of_the_newest_revision_come_first() -> None:
    """What keeps the new pods is above what old pods do, and a consequence is last."""
    verdict = explain(ROLLOUTS["after the deadline"].workload)

    assert [each.rule for each in verdict.findings] == ["crash", "progress-deadline", "old-pods"]
    assert verdict.findings[0].pods == ("c",)


def test_what_was_not_looked_at_is_said() -> None:
    """Missing rights are said once, with the rule, and so is the number of the other pods."""
    caveats = explain(ROLLOUTS["read in part"].workload).caveats

    assert [each.sentence.partition(",")[0] for each in caveats] == [
        "You may not read replicasets",
        "4 more pods of the Deployment were not looked at",
    ]
    assert caveats[0].fix == "Ask for this rule in a Role: apiGroups: [apps]"


@pytest.mark.parametrize(
    "saying", [each for rule in (*CAUSES, *CONSEQUENCES) for each in rule.sayings]
)
def test_every_sentence_is_said_about_some_deployment(saying: Saying) -> None:
    """No sentence is dead, and each has a case."""
    said = {
        found.saying
        for workload in WORKLOADS.values()
        for rule in (*CAUSES, *CONSEQUENCES)
        for found in rule.find(workload)
    }

    assert saying in said
