"""
The result as JUnit XML, for CI systems.

Each rollout is a test case. Losses outside of all rollouts are one more. Rules of this file:

1. All losses of a test case are one `failure`, because Jenkins keeps only the first one.
2. A result that is not certain is an `error`, because a skipped test would be shown as fine.
3. The text repeats the attribute `message`, because GitLab shows only the text.
"""

from __future__ import annotations

import re
import shlex
import socket
import textwrap
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from lifecycle.rehearsal.measuring.losses import Loss
from lifecycle.rehearsal.replicas.rollout import Rollout
from lifecycle.rehearsal.report.text import describe
from lifecycle.rehearsal.verdict.judge import Verdict
from lifecycle.rehearsal.verdict.result import Result
from lifecycle.version import VERSION

NAME: Final = "lifecycle rehearse"
ELEMENTS: Final = {
    Verdict.LOST: "failure",
    Verdict.INCONCLUSIVE: "error",
    Verdict.HOOK_FAILED: "error",
}
MESSAGE: Final = 400
"""Characters of a reason in the attribute `message`. The text has all of it."""
_ILLEGAL: Final = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot contain: control characters of a command's output."""


def junit(result: Result) -> str:
    """Return the result as XML."""
    cases = list(_cases(result))
    kinds = Counter(ELEMENTS[verdict] for verdict, _ in cases if verdict in ELEMENTS)
    seconds = result.ended - result.zero
    counts = {
        "name": NAME,
        "tests": str(len(cases)),
        "failures": str(kinds["failure"]),
        "errors": str(kinds["error"]),
        "skipped": "0",
        "time": f"{seconds:.3f}",
    }
    root = ET.Element("testsuites", counts)
    began = datetime.now(UTC) - timedelta(seconds=seconds)
    stamp = began.replace(tzinfo=None).isoformat(timespec="seconds")
    suite = ET.SubElement(
        root, "testsuite", {**counts, "timestamp": stamp, "hostname": _legal(socket.gethostname())}
    )
    properties = ET.SubElement(suite, "properties")
    for name, value in _properties(result):
        ET.SubElement(properties, "property", {"name": name, "value": _legal(value)})
    suite.extend(case for _, case in cases)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _properties(result: Result) -> Iterator[tuple[str, str]]:
    yield "verdict", result.verdict
    yield "requests", str(result.tally.requests)
    yield "lost", str(result.lost)
    yield "ready", result.template.readiness
    yield "preStop", result.template.hook.name
    yield "pod-lifecycle", VERSION


def _cases(result: Result) -> Iterator[tuple[Verdict, ET.Element]]:
    command = shlex.join(result.template.plan.command)
    losses = result.tally.losses
    for rollout in result.rollouts:
        inside = [each for each in losses if rollout.began <= each.at < rollout.ended]
        losses = [each for each in losses if not rollout.began <= each.at < rollout.ended]
        verdict = result.verdict_of(rollout)
        name = f"rollout {rollout.number}: {command}"
        yield verdict, _case(result, name, verdict, inside, rollout)
    # Losses missed there belong to no rollout.
    verdict = result.judge.verdict(losses, [], hook_failed=False) if losses else Verdict.PASSED
    yield verdict, _case(result, f"outside of a rollout: {command}", verdict, losses)


def _case(
    result: Result,
    name: str,
    verdict: Verdict,
    losses: list[Loss],
    rollout: Rollout | None = None,
) -> ET.Element:
    seconds = rollout.ended - rollout.began if rollout else 0.0
    attributes = {"classname": "lifecycle.rehearse", "name": name, "time": f"{seconds:.3f}"}
    case = ET.Element("testcase", {key: _legal(value) for key, value in attributes.items()})
    if verdict in ELEMENTS:
        causes = Counter(str(each.cause) for each in losses)
        kinds = ", ".join(f"{count:,} {cause}" for cause, count in causes.most_common())
        lost = f"lost {len(losses):,} requests" + (f" ({kinds})" if kinds else "")
        told = [*_reasons(result, verdict, losses, rollout)[:1], *[lost] * bool(losses)]
        message = _legal(f"{verdict}: {'; '.join(told)}")
        about = {"type": str(verdict), "message": message}
        ET.SubElement(case, ELEMENTS[verdict], about).text = _legal(
            "\n\n".join([message, *_text(result, losses)])
        )
    return case


def _reasons(
    result: Result, verdict: Verdict, losses: list[Loss], rollout: Rollout | None
) -> list[str]:
    """Return why a case is an error, each reason on one line, as an attribute needs it."""
    reasons: list[str] = []
    if verdict is Verdict.INCONCLUSIVE:
        reasons = result.why_inconclusive(losses, [rollout] if rollout else [])
    elif verdict is Verdict.HOOK_FAILED and rollout:
        reasons = result.why_hook_failed(rollout.left)
    return [textwrap.shorten(each, MESSAGE, placeholder=" …") for each in reasons]


def _text(result: Result, losses: list[Loss]) -> Iterator[str]:
    for number, group in enumerate(result.groups(losses), 1):
        yield describe(number, group)
    yield from result.findings()


def _legal(text: str) -> str:
    return _ILLEGAL.sub("\ufffd", text)
