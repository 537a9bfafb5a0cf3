"""What `lifecycle check` advises: a fix that fits the pod, reasons without notes, links that open."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from lifecycle.checks.reading.documents import from_objects
from lifecycle.checks.reports.json_report import as_json
from lifecycle.checks.reports.report import Report
from lifecycle.checks.reports.sarif import as_sarif
from lifecycle.checks.reports.terminal import Screen, as_text
from lifecycle.checks.rules import RULES
from lifecycle.checks.workloads.workload import Surroundings
from lifecycle.links import docs_page
from tests.checks.kit import START, WEB, found, get, pod, probe, said, sleep
from tests.checks.test_rules import TABLE
from tests.docs.pages import ROOT, anchors

OURS = re.compile(
    r"lifecycle prestop|\[lifecycle, |/live\b|/ready\b|/startup\b|22222|QOS|LIFECYCLE_"
)
"""What only an app under pod-lifecycle has."""

UVICORN = {"command": ["uvicorn", "shop:app", "--port", "8080"]} | WEB
PLAIN = [
    objects
    for expected, objects in TABLE
    if expected and not any(each.ours for each in Surroundings(from_objects(objects)).workloads)
]
"""Pods that do not run under pod-lifecycle, and in which something is found."""


def _first(fix: str) -> str:
    """Return what a fix says before it puts the app under pod-lifecycle."""
    return re.split(r"`lifecycle run\b", fix)[0]


@pytest.mark.parametrize("objects", PLAIN)
def test_a_fix_fits_a_plain_pod(objects: tuple[dict[str, Any], ...]) -> None:
    """Without pod-lifecycle, nothing of pod-lifecycle is advised before `lifecycle run` is."""
    unfit = [each.fix for each in found(*objects) if OURS.search(_first(each.fix))]

    assert unfit == []


def test_plain_pods_are_among_the_cases() -> None:
    """The test above looks at what a plain server's pod most often has."""
    names = {each.rule.name for objects in PLAIN for each in found(*objects)}

    assert names >= {
        "grace-period", "prestop-sleep", "probe-port", "liveness-equals-readiness",
        "startup-probe", "probe-grace", "dependency-in-liveness",
    }  # fmt: skip


def test_a_sleep_in_front_of_uvicorn() -> None:
    """The command comes first, then the hook; until then the sleep stays."""
    (finding,) = found(pod(UVICORN | sleep("sleep", "5")))

    assert finding.fix.startswith("Put `lifecycle run --service NAME:PORT --` in front of the comm")
    assert finding.fix.index("lifecycle run") < finding.fix.index("[lifecycle, prestop]")
    assert "keep the sleep" in finding.fix


def test_the_fix_of_an_app_under_pod_lifecycle() -> None:
    """An app that drains already is told what to ask, and not how to start."""
    ours = {"command": ["lifecycle", "run", "a:b"]} | WEB
    (finding,) = found(pod(ours | sleep("sleep", "5")))

    assert finding.fix == RULES["prestop-sleep"].fix
    assert "lifecycle run" not in finding.fix


def test_an_image_that_answers_on_the_qos_port() -> None:
    """The command may be the image's: who asks /ready on 22222 has pod-lifecycle in it."""
    ports = {"ports": [{"containerPort": 22222}]}
    ready = probe("readiness", get("/ready", 22222))
    (finding,) = found(pod(ports | sleep("sleep", "5") | ready))

    assert finding.fix == RULES["prestop-sleep"].fix


def test_containers_of_one_pod_are_advised_apart() -> None:
    """The fix is that of the container, also where the place is the pod's own field."""
    ours = {"command": ["lifecycle", "run", "a:b"]} | sleep("sleep", "60")
    findings = [
        each
        for each in found(
            pod(ours, UVICORN | sleep("sleep", "60"), terminationGracePeriodSeconds=9)
        )
        if each.rule.name == "grace-period"
    ]

    rule = RULES["grace-period"]
    assert [each.fix for each in findings] == [rule.fix, rule.plain_fix]


def test_text_has_each_fix_with_its_places() -> None:
    """The reason is there once; each fix is followed by the places that it fits."""
    ours = {"command": ["lifecycle", "run", "a:b"]} | WEB | sleep("sleep", "5")
    findings = found(pod(ours), pod(UVICORN | sleep("sleep", "5")))
    assert said(findings) == ["error prestop-sleep", "warning prestop-sleep"]

    text = " ".join(as_text(Report(findings, workloads=2), Screen(400)).split())

    rule = RULES["prestop-sleep"]
    assert text.count(" why: ") == 1
    parts = (f"fix: {rule.fix}", "error: Pod/", f"fix: {rule.plain_fix}", "warning: Pod/")
    at = [text.index(part) for part in parts]
    assert at == sorted(at)


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.name)
def test_a_reason_has_no_note_on_severity(rule: Any) -> None:
    """When it is a warning, and what is looked at, is told apart from what happens."""
    notes = re.findall(
        r"is (?:a|an|also a) (?:warning|error)|[Tt]he rule (?:also )?(?:knows|reads|finds|sees|looks"
        r"|leaves)|[Tt]his rule|turn the rule off|[Ll]eave the rule out",
        rule.why,
    )

    assert notes == []


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.name)
def test_a_rule_links_its_section(rule: Any) -> None:
    """The address is absolute, and its anchor is a heading of the page."""
    assert rule.page == docs_page(f"checks.md#{rule.name}")
    assert rule.name in anchors(ROOT / "docs" / "checks.md")
    assert all(each.startswith("https://") for each in rule.addresses)
    for each in rule.sources:
        page, _, anchor = each.partition("#")
        if not each.startswith("https://"):
            assert (ROOT / "docs" / page).is_file()
            assert not anchor or anchor in anchors(ROOT / "docs" / page)


def test_every_report_links_pages_that_open() -> None:
    """An installed user has no folder of pages: text, JSON and SARIF have addresses."""
    made = UVICORN | START | sleep("/app/leave") | probe("liveness", get("/h", 81))
    report = Report(found(pod(made)), workloads=1)
    rule = RULES["probe-port"]

    assert f"\n  see: {rule.page}\n" in as_text(report)
    (finding,) = json.loads(as_json(report))["findings"]
    assert (finding["page"], finding["sources"]) == (rule.page, list(rule.addresses))
    for each in json.loads(as_sarif(report))["runs"][0]["tool"]["driver"]["rules"]:
        assert each["helpUri"] == RULES[each["id"]].page
        assert not re.search(r"(?<!\S)[\w-]+\.md\b", each["help"]["text"])
