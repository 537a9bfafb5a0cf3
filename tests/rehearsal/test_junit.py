"""The JUnit file: what the CI systems' readers ask of it, whatever there is to say."""

from __future__ import annotations

import calendar
import re
import time
import xml.etree.ElementTree as ET

import pytest

from lifecycle.rehearsal.measuring.losses import Cause, Loss
from lifecycle.rehearsal.measuring.stalls import Stall
from lifecycle.rehearsal.measuring.tally import Tally
from lifecycle.rehearsal.plan import Plan
from lifecycle.rehearsal.replicas.replica import Replica
from lifecycle.rehearsal.replicas.rollout import Rollout
from lifecycle.rehearsal.replicas.template import Template
from lifecycle.rehearsal.report.junit import junit
from lifecycle.rehearsal.verdict.result import Result
from lifecycle.testing import Container, Exec, Kubelet, PodSpec
from tests.rehearsal.kit import run

ZERO = 1000.0
ALLOWED = {
    "testsuites": {"name", "tests", "failures", "errors", "skipped", "time"},
    "testsuite": {
        *("name", "tests", "failures", "errors", "skipped", "time", "timestamp", "hostname")
    },
    "properties": set(),
    "property": {"name", "value"},
    "testcase": {"classname", "name", "time"},
    "failure": {"type", "message"},
    "error": {"type", "message"},
}
CHILDREN = {
    "testsuites": ["testsuite"],
    "testsuite": ["properties", "testcase"],
    "properties": ["property"],
    "testcase": ["failure", "error"],
}


def checked(text: str) -> ET.Element:
    """Take it apart, and see that it keeps to the rules of the known schemas."""
    root = ET.fromstring(text.encode())
    for element in root.iter():
        assert set(element.attrib) == ALLOWED[element.tag]
        assert {child.tag for child in element} <= set(CHILDREN.get(element.tag, []))
    assert root.tag == "testsuites"
    (suite,) = root
    assert [child.tag for child in suite][:2] == ["properties", "testcase"]
    cases = suite.findall("testcase")
    assert all(len(case) <= 1 for case in cases)
    assert len({(case.get("classname"), case.get("name")) for case in cases}) == len(cases)
    for each in (root, suite):
        assert each.get("tests") == str(len(cases))
        assert each.get("failures") == str(len(suite.findall("testcase/failure")))
        assert each.get("errors") == str(len(suite.findall("testcase/error")))
        assert each.get("skipped") == "0"
    assert all(re.fullmatch(r"\d+\.\d{3}", each.get("time", "")) for each in (root, suite, *cases))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", suite.get("timestamp", ""))
    assert suite.get("hostname")
    for problem in (*suite.iter("failure"), *suite.iter("error")):
        assert problem.get("message", "x") in (problem.text or "")
    return suite


def loss(at: float, cause: Cause = Cause.CUT, detail: str = "closed") -> Loss:
    return Loss(ZERO + at, ZERO + at - 0.01, False, "http1", cause, detail, "/", "app-1")


def result_of(*losses: Loss, command: str = "shop", stalls: list[Stall] | None = None) -> Result:
    """Return what two rollouts have shown: from 1 to 9 s and from 10 to 19 s."""
    rollouts = [Rollout(1, ZERO + 1, ZERO + 9), Rollout(2, ZERO + 10, ZERO + 19)]
    tally = Tally(requests=1000, losses=list(losses), stalls=stalls or [])
    template = Template(Plan((command, "--port", "{port}")), "")
    return Result(template, tally, [], rollouts, 1, ZERO, ZERO + 20)


def outcomes(suite: ET.Element) -> list[str]:
    return [case[0].tag if len(case) else "" for case in suite.findall("testcase")]


def test_a_rollout_is_a_test_case():
    """So is what fell outside of all of them; without losses all are passed."""
    suite = checked(junit(result_of()))
    names = [case.get("name") for case in suite.findall("testcase")]
    command = "shop --port '{port}'"
    assert names == [
        f"rollout 1: {command}",
        f"rollout 2: {command}",
        f"outside of a rollout: {command}",
    ]
    assert outcomes(suite) == ["", "", ""]
    assert suite.get("time") == "20.000"


def test_losses_are_one_failure_of_their_rollout():
    """With their causes and counts, why, and what to change: Jenkins shows one failure a case."""
    losses = [loss(2), loss(3), loss(4, Cause.ERROR), loss(9.5, Cause.TIMEOUT)]
    suite = checked(junit(result_of(*losses)))
    assert outcomes(suite) == ["failure", "", "failure"]
    inside, outside = suite.iter("failure")
    assert inside.get("message") == "lost: lost 3 requests (2 cut, 1 5xx)"
    assert outside.get("message") == "lost: lost 1 requests (1 timeout)"
    text = inside.text or ""
    assert "1. 2x cut on new connections" in text
    assert "2. 1x 5xx on new connections" in text
    assert text.count("why:") == text.count("change:") == 2


def test_what_noise_explains_is_an_error():
    """A skipped test would be shown as fine; another rollout's losses stay failures."""
    stalls = [Stall(ZERO + 2.5, ZERO + 4.5)]
    suite = checked(junit(result_of(loss(3), loss(15), stalls=stalls)))
    assert outcomes(suite) == ["error", "failure", ""]
    (error,) = suite.iter("error")
    assert (error.get("type"), error.get("message")) == (
        "inconclusive",
        "inconclusive: noise on this machine can explain 1 of 1 lost requests. Lower --rate, "
        "--clients or --busy, or rehearse on a less busy machine; lost 1 requests (1 cut)",
    )
    assert "Lower --rate, --clients or --busy" in (error.text or "")


FAILS = "echo no; echo token; exit 4"


@pytest.fixture(scope="module")
def hookless() -> tuple[Replica, Rollout]:
    """A replica whose hook failed, and the rollout that ended with it."""

    async def main() -> tuple[Replica, Rollout]:
        async with Kubelet() as kubelet:
            hook = Exec(["sh", "-c", FAILS])
            container = Container(["sleep", "60"], pre_stop=hook, pid_1=False)
            pod = await kubelet.run(PodSpec(container, "app-1"))
            rollout = Rollout(1, time.monotonic(), left=[Replica(pod)])
            await pod.delete()
            rollout.ended = time.monotonic()
            return rollout.left[0], rollout

    found: tuple[Replica, Rollout] = run(main())
    return found


def hookless_result(replica: Replica, rollout: Rollout, *losses: Loss) -> Result:
    template = Template(Plan(("shop",), prestop="./hook"), "")
    tally = Tally(requests=1000, losses=list(losses))
    return Result(template, tally, [replica], [rollout], 1, rollout.began, rollout.ended)


def test_a_hook_that_failed_is_an_error_with_its_reason(hookless: tuple[Replica, Rollout]):
    """The message begins with it, on one line: that nothing was lost says nothing."""
    suite = checked(junit(hookless_result(*hookless)))
    assert outcomes(suite) == ["error", ""]
    (error,) = suite.iter("error")
    why = "THE PRESTOP HOOK FAILED (./hook) for app-1: exit code 4: "
    assert error.get("message", "").startswith(f"hook failed: {why}no token. These replicas")
    assert f"{why}no\ntoken" in (error.text or "")


def test_losses_do_not_hide_a_hook_that_failed(hookless: tuple[Replica, Rollout]):
    """It is what makes a server lose, so the failure tells of it."""
    replica, rollout = hookless
    at = rollout.began
    cut = Loss(at, at, False, "http1", Cause.CUT, "closed", "/", "app-1")
    suite = checked(junit(hookless_result(replica, rollout, cut)))
    assert outcomes(suite) == ["failure", ""]
    (failure,) = suite.iter("failure")
    assert failure.get("message") == "lost: lost 1 requests (1 cut)"
    assert "THE PRESTOP HOOK FAILED (./hook) for app-1" in (failure.text or "")


@pytest.mark.parametrize("char", ["\x00", "\x1b", "\ud800", "\ufffe", "<&>\"']]>", "ä😀"])
def test_what_is_said_need_not_be_legal_xml(char: str):
    """Colour codes, half characters and markup in a command leave a file that can be read."""
    suite = checked(junit(result_of(loss(2), command=f"shop{char}")))
    assert suite.get("tests") == "3"


def test_the_time_is_when_the_load_began():
    """In UTC, without a zone, as the schemas ask."""
    stamp = checked(junit(result_of())).get("timestamp", "")
    began = time.strptime(stamp, "%Y-%m-%dT%H:%M:%S")
    assert abs(time.time() - 20 - calendar.timegm(began)) < 60
