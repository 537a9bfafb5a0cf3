"""Each rule says what is wrong, and only that."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from lifecycle_fleet.why.answers import Answers
from lifecycle_fleet.why.facts import Facts
from lifecycle_fleet.why.finding import Saying
from lifecycle_fleet.why.pod import explain
from lifecycle_fleet.why.rules import RULES

from plugins.fleet.tests.why_app_cases import APPS, GATES
from plugins.fleet.tests.why_cases import TWELVE, Case, broken, changed, pending
from plugins.fleet.tests.why_cluster_cases import LEAVING, OTHERS, PLACES, SERVICES
from plugins.fleet.tests.why_container_cases import CRASHES, CREATED
from plugins.fleet.tests.why_image_cases import REGISTRIES, pulling
from plugins.fleet.tests.why_note_cases import HEALTHY, NOTED, WORTH_KNOWING
from plugins.fleet.tests.why_objects import answers, facts, pod
from plugins.fleet.tests.why_port_cases import PORTS
from plugins.fleet.tests.why_rare_cases import RARE
from plugins.fleet.tests.why_real_cases import (
    CORDONED,
    ENDING,
    NO_BUDGETS,
    REAL,
    SCHEDULER,
    deleted,
    placed,
)

PODS = {**PORTS, **GATES, **APPS, **CRASHES, **CREATED, **PLACES, **LEAVING}
BROKEN = {**TWELVE, **PODS, **SERVICES, **OTHERS, **RARE, **REAL, **NOTED, **ENDING}
ALL = {name: case.facts for name, case in {**BROKEN, **WORTH_KNOWING}.items()}


def wrong(facts: Facts) -> tuple[str, ...]:
    """The rules that say that something is wrong."""
    return tuple(dict.fromkeys(each.rule for each in explain(facts).findings if not each.note))


@pytest.mark.parametrize("case", BROKEN.values(), ids=BROKEN)
def test_a_broken_pod_is_explained(case: Case) -> None:
    """The rule of this way says what is wrong and what to do, and no other rule says anything."""
    verdict = explain(case.facts)

    assert wrong(case.facts) == case.rules
    assert verdict.findings[0].sentence.startswith(case.sentence)
    assert case.fix in verdict.findings[0].fix
    assert verdict.findings[0].evidence
    assert verdict.wrong


@pytest.mark.parametrize(("facts", "headline"), HEALTHY.values(), ids=HEALTHY)
def test_a_healthy_pod_has_no_finding(facts: Facts, headline: str) -> None:
    """Nothing is said about it, not even a note, and its headline says that it is well."""
    verdict = explain(facts)

    assert verdict.findings == ()
    assert not verdict.wrong
    assert verdict.headline == f"pod/{facts.name} {headline}"


@pytest.mark.parametrize("listening", [{8080: False}, {22222: True}])
def test_the_headline_does_not_contradict_the_findings(listening: dict[int, bool]) -> None:
    """Clients find the address of the pod, but nobody answers them there."""
    verdict = explain(facts(answers=answers(listening=listening)))

    assert [each.rule for each in verdict.findings] == ["service-port"]
    assert verdict.headline.endswith(" is ready, but clients of a Service cannot connect to it.")


@pytest.mark.parametrize("case", WORTH_KNOWING.values(), ids=WORTH_KNOWING)
def test_a_note_is_not_wrong(case: Case) -> None:
    """A ready pod with a note only has nothing wrong."""
    verdict = explain(case.facts)

    assert [each.note for each in verdict.findings] == [True]
    assert verdict.findings[0].sentence.startswith(case.sentence)
    assert not verdict.wrong


@pytest.mark.parametrize(("message", "sentences"), SCHEDULER.items())
def test_each_message_of_the_scheduler_is_understood(
    message: str, sentences: tuple[str, ...]
) -> None:
    """A sentence speaks of every node only if the reason rules out every node."""
    found = explain(placed(f"{message}. preemption: 0/3 nodes are available: 3 x.")).findings

    assert len(found) == len(sentences)
    for each, wanted in zip(found, sentences, strict=True):
        assert each.sentence.startswith(wanted)


@pytest.mark.parametrize(
    ("reason", "sentence"),
    [
        ("1 Insufficient cpu", "Too little cpu is left for the pod on the only node."),
        (
            "1 node(s) were unschedulable",
            "New pods are not placed on the only node, because of a cordon.",
        ),
    ],
)
def test_one_node_is_not_called_every_node(reason: str, sentence: str) -> None:
    """A cluster may have one node, whose name the sentence of the scheduler does not have."""
    (found,) = explain(broken(pending(f"0/1 nodes are available: {reason}."))).findings

    assert found.sentence == sentence
    assert "NODE" not in found.fix


@pytest.mark.parametrize(("message", "sentence"), REGISTRIES.items())
def test_each_message_of_a_registry_is_understood(message: str, sentence: str) -> None:
    """The kubelet passes on what the registry or the network has answered."""
    (found,) = explain(pulling(message)).findings

    assert found.sentence.startswith(sentence)


@pytest.mark.parametrize(("budgets", "phase"), NO_BUDGETS.values(), ids=NO_BUDGETS)
def test_a_budget_that_does_not_count_is_not_mentioned(
    budgets: tuple[dict[str, object], ...], phase: str
) -> None:
    """The API server evicts the pod."""
    found = facts(pod(phase=phase), budgets=budgets, node=CORDONED)

    assert "eviction" not in [each.rule for each in explain(found).findings]


LEAVING = {"draining", "prestop", "finalizer", "not-removed", "node", "grace-period"}
OVER = {
    *("pod-ended", "crash", "out-of-memory", "poststart", "liveness-restart", "startup-budget"),
    *("unexplained", "grace-period"),
}


@pytest.mark.parametrize("facts", ALL.values(), ids=ALL)
def test_a_deleted_pod_is_not_asked_to_become_ready(facts: Facts) -> None:
    """Whatever was wrong with it before, only what keeps it from being gone counts."""
    found = explain(replace(facts, pod=deleted(dict(facts.pod), 12))).findings

    assert {each.rule for each in found} <= LEAVING


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
@pytest.mark.parametrize("facts", ALL.values(), ids=ALL)
def test_a_pod_that_is_over_is_not_asked_to_become_ready(facts: Facts, phase: str) -> None:
    """Only how it has ended counts."""
    over = changed(dict(facts.pod), lambda each: each["status"].update(phase=phase))
    over["metadata"].pop("deletionTimestamp", None)
    found = explain(replace(facts, pod=over, answers=Answers())).findings

    assert {each.rule for each in found} <= OVER


@pytest.mark.parametrize("saying", [each for rule in RULES for each in rule.sayings])
def test_every_sentence_is_said_about_some_pod(saying: Saying) -> None:
    """No sentence is dead, and each has a case above."""
    said = {found.saying for facts in ALL.values() for rule in RULES for found in rule.find(facts)}

    assert saying in said


@pytest.mark.parametrize("facts", ALL.values(), ids=ALL)
def test_a_rule_says_its_own_sentences_only(facts: Facts) -> None:
    """What the page lists for a rule is all that the rule can say."""
    for rule in RULES:
        assert {found.saying for found in rule.find(facts)} <= {*rule.sayings}


@pytest.mark.parametrize("facts", ALL.values(), ids=ALL)
def test_causes_come_before_their_consequences(facts: Facts) -> None:
    """The findings are in the order of their ranks, and notes are last."""
    found = explain(facts).findings

    assert [*found] == sorted(found, key=lambda each: (each.note, each.rank))


def test_a_cause_hides_the_rules_that_only_apply_alone() -> None:
    """A container that is not ready because of its port is not also told to be starting."""
    case = PORTS["a port that is not open yet"]

    assert "starting" not in wrong(case.facts)


def test_names_of_rules_are_anchors() -> None:
    """Each name is used once, and is what a heading of that text is called."""
    names = [rule.name for rule in RULES]

    assert len(names) == len({*names})
    assert all(name == name.lower() and json.dumps(name).isascii() for name in names)
