"""No facts make a rule raise, and hostile texts stay on one line."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lifecycle_fleet.why.answers import Answers, listening_of, plugins_of, status_of
from lifecycle_fleet.why.deployment import explain as explain_deployment
from lifecycle_fleet.why.events import read
from lifecycle_fleet.why.facts import Facts
from lifecycle_fleet.why.pod import Verdict, explain
from lifecycle_fleet.why.report import record
from lifecycle_fleet.why.workload import Workload

from plugins.fleet.tests.test_why_rules import ALL
from plugins.fleet.tests.why_note_cases import HEALTHY
from plugins.fleet.tests.why_objects import NOW, PROC, UID, event, unhealthy

HOSTILE = "\x1b[2J\r\nfake: {pod} {0} %s \u202e\u0007 <b>"
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.just(HOSTILE)
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
FACTS = [*ALL.values(), *(facts for facts, _ in HEALTHY.values())]


def texts(verdict: Verdict) -> list[str]:
    """Every text of an answer."""
    found = [verdict.headline]
    for each in verdict.findings:
        found += [each.sentence, each.fix, *each.evidence]
    return found + [text for each in verdict.caveats for text in each]


def is_calm(verdict: Verdict) -> bool:
    """Whether nothing in it does anything to a terminal, and it can be written as JSON."""
    json.dumps(record(verdict), allow_nan=False)
    return all(each.isprintable() for each in texts(verdict))


def mutated(value: Any, data: st.DataObject) -> Any:
    """A value of which one part, somewhere, is gone or is something else."""
    value = copy.deepcopy(value)
    where = value
    while True:
        if isinstance(where, dict) and where:
            key: Any = data.draw(st.sampled_from(sorted(where)))
        elif isinstance(where, list) and where:
            key = data.draw(st.integers(0, len(where) - 1))
        else:
            return value
        if isinstance(where[key], (dict, list)) and where[key] and data.draw(st.booleans()):
            where = where[key]
            continue
        if isinstance(where, dict) and data.draw(st.booleans()):
            del where[key]
        else:
            where[key] = data.draw(JSON)
        return value


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_no_facts_make_a_rule_raise(data: st.DataObject) -> None:
    """Whatever is missing, or is of another type, there is an answer."""
    facts = data.draw(st.sampled_from(FACTS))
    pod = facts.pod
    for _ in range(data.draw(st.integers(1, 3))):
        pod = mutated(pod, data)
    facts = replace(
        facts,
        pod=pod,
        services=tuple(mutated([*facts.services], data)) if facts.services else (),
        slices=tuple(each for each in mutated([*facts.slices], data) if isinstance(each, dict)),
        budgets=tuple(mutated([*facts.budgets], data)) if facts.budgets else (),
        node=mutated(facts.node, data) if facts.node else facts.node,
        answers=facts.answers._replace(status=mutated(facts.answers.status, data)),
    )

    assert is_calm(explain(facts))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(FACTS), st.dictionaries(st.text(max_size=12), JSON), JSON)
def test_an_answer_of_a_pod_may_be_anything(
    facts: Facts, status: dict[str, Any], inflight: Any
) -> None:
    """The pod is not trusted: it may send any JSON in place of its status."""
    status |= {"state": "draining", "services": inflight, "probes": inflight, "plugins": inflight}
    answers = Answers(
        status=status_of(json.dumps(status)), inflight=status_of(json.dumps(inflight))
    )

    assert is_calm(explain(replace(facts, answers=answers)))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(FACTS), st.text(max_size=60))
def test_a_message_of_an_event_may_be_anything(facts: Facts, message: str) -> None:
    """An event of any program, with any text, is one line of the evidence."""
    events = read(
        [
            unhealthy("Readiness", message + HOSTILE),
            event("FailedMount", message + HOSTILE),
            event("Failed", HOSTILE + message),
            event("FailedPreStopHook", message + "\n"),
            {"involvedObject": {"uid": UID}, "message": message, "count": "x"},
        ]
    )

    assert is_calm(explain(replace(facts, events=events)))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_deployment_makes_a_rule_raise(data: st.DataObject) -> None:
    """A Deployment of which any part is missing, or is of another type, has an answer."""
    from plugins.fleet.tests.why_deployments import WORKLOADS

    workload: Workload = data.draw(st.sampled_from([*WORKLOADS.values()]))
    changed = mutated(workload.deployment, data)
    sets = tuple(each for each in mutated([*workload.replica_sets], data) if isinstance(each, dict))

    verdict = explain_deployment(replace(workload, deployment=changed, replica_sets=sets))

    assert is_calm(verdict)


@pytest.mark.parametrize("part", ["name", "labels", "message"])
def test_a_hostile_text_stays_on_one_line(part: str) -> None:
    """A newline, an escape sequence or a field of a template in a name is shown, and does nothing."""
    facts = FACTS[0]
    pod = copy.deepcopy(dict(facts.pod))
    if part == "name":
        pod["metadata"]["name"] = HOSTILE
        pod["spec"]["containers"][0]["name"] = HOSTILE
    elif part == "labels":
        pod["metadata"]["labels"] = {HOSTILE: HOSTILE}
    else:
        pod["status"]["conditions"][0]["message"] = HOSTILE
    verdict = explain(replace(facts, pod=pod))

    assert is_calm(verdict)
    if part == "name":
        assert any("{pod}" in each for each in texts(verdict)), "it is shown as it is"


@given(st.text())
def test_output_of_commands_may_be_anything(out: str) -> None:
    """The parsers of what a container prints never raise."""
    status_of(out)
    plugins_of(out)
    listening_of(out)
    listening_of(PROC + out)


def test_the_tables_of_the_kernel() -> None:
    """Listening ports are found in both tables, with whether other machines reach them."""
    assert listening_of(PROC) == {8080: True, 9000: False, 22222: True, 9001: False}
    assert listening_of("cat: /proc/net/tcp: No such file") is None


def test_the_list_of_plugins() -> None:
    """The table of `lifecycle plugins` has each plugin and its problem."""
    table = (
        "PLUGIN      HOOKS                PROBLEM\n"
        "kubernetes  -                    off: not configured\n"
        "prometheus  commands, options    -\n"
    )

    assert plugins_of(table) == {"kubernetes": "off: not configured", "prometheus": ""}
    assert plugins_of("bash: lifecycle: not found") is None


def test_the_newest_event_is_the_last() -> None:
    """Events are sorted by the last time at which they happened, whatever field has it."""
    series = {"series": {"count": 7, "lastObservedTime": event("x", "x", ago=1)["lastTimestamp"]}}
    found = read([event("A", "a", ago=1) | series, event("B", "b", ago=30)])

    assert [each.reason for each in found] == ["B", "A"]
    assert found[1].times == 7
    assert found[1].quoted(NOW) == "event A 7 times, last 1 s ago: a"
