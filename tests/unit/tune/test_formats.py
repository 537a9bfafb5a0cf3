"""A report is found in a line as loggers and log collectors write it, and nowhere else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.log import logfmt
from lifecycle.tune.formats import DEEPEST, report_in
from tests.unit.tune.reports import line, report

JSON = line()
FIELDS = report()
OF_LOG = {name: FIELDS[name] for name in FIELDS if name not in ("event", "level", "timestamp")}
LOGFMT = logfmt({"event": "drain report", **OF_LOG})

WRAPPED = {
    "alone": JSON,
    "kubectl logs --timestamps": f"2026-03-02T10:15:48.512345678Z {JSON}",
    "kubectl logs --prefix": f"[pod/orders-7d4b9c-x2x/orders] {JSON}",
    "both": f"[pod/orders-7d4b9c-x2x/orders] 2026-03-02T10:15:48.512345678Z {JSON}",
    "containerd": f"2026-03-02T10:15:48.512345678Z stderr F {JSON}",
    "docker": json.dumps({"log": JSON + "\n", "stream": "stderr", "time": "2026-03-02T10:15Z"}),
    "docker compose": f"orders-1  | {JSON}",
    "journald": json.dumps({"MESSAGE": JSON, "_PID": "1"}),
    "fluent bit": json.dumps({"kubernetes": {"pod_name": "orders"}, "log": JSON, "stream": "x"}),
    "Google Cloud": json.dumps({"jsonPayload": FIELDS, "severity": "INFO"}),
    "Loki": f'2026-03-02T10:15:48Z {{app="orders", pod="x"}} {JSON}',
    "OpenTelemetry": json.dumps({"body": {"stringValue": JSON}}),
    "Elasticsearch": json.dumps({"_source": {"message": JSON}}),
    "stern": f"orders-7d4b9c-x2x orders {JSON}",
    "spaces at the end": JSON + "  \r",
    "the standard logger": LOGFMT,
    "a format of the standard logger": f"2026-03-02 10:15:48,512 INFO lifecycle {LOGFMT}",
    "a JSON formatter of the standard logger": json.dumps({"message": LOGFMT, "level": "INFO"}),
}


@pytest.mark.parametrize("text", WRAPPED.values(), ids=WRAPPED)
def test_a_report_is_found(text: str) -> None:
    """With all its fields as they were."""
    found = report_in(text)
    assert found is not None
    assert {name: found[name] for name in OF_LOG} == OF_LOG


def test_the_name_of_the_event_may_be_in_another_field() -> None:
    """As structlog's EventRenamer puts it."""
    fields = report(event=None, message="drain report")
    assert report_in(json.dumps(fields)) == fields


AGENT = json.dumps({"user_agent": JSON, "message": "GET / 200"})
ELSEWHERE = {
    "cut off": JSON[:-20],
    "cut off in a wrapper": json.dumps({"log": JSON[:-20]}),
    "something after it": f'10.0.0.7 "GET / HTTP/1.1" 200 "{JSON}" 12',
    "in the user agent of an access log": AGENT,
    "in a path": f'INFO: 10.0.0.7 - "GET /{JSON} HTTP/1.1" 200 OK',
    "key=value inside quotes": f'10.0.0.7 "GET /" 200 "{LOGFMT}"',
    "key=value in another field": json.dumps({"agent": LOGFMT, "message": "drain report"}),
    "key=value that is glued on": f"x{LOGFMT}",
    "key=value cut off": LOGFMT[: LOGFMT.index("steps") + 20],
    "another event": json.dumps({"event": "ready", "note": "drain report"}),
    "in a field of an app's event": json.dumps({"event": "login failed", "data": JSON}),
    "in an object of an app's event": json.dumps({"event": "import", "body": json.loads(JSON)}),
    "in a field of an app's line": json.dumps({"level": "info", "message": "no", "data": JSON}),
    "an event without steps": json.dumps({"event": "drain report"}),
    "key=value without steps": 'event="drain report" cause=SIGTERM',
    "words": "the drain report is missing",
    "for people": "10:15:48 [info] drain report  cause=SIGTERM steps={'settle': 5.0}",
    "a list": f"[{JSON}]",
    "nothing": "",
}


@pytest.mark.parametrize("text", ELSEWHERE.values(), ids=ELSEWHERE)
def test_what_is_no_report(text: str) -> None:
    """Above all nothing that a client can send: it would choose the app's settle."""
    assert report_in(text) is None


def test_wrappers_end_somewhere() -> None:
    """Nobody wraps a line more often, and a hostile one could go on for ever."""
    text = JSON
    for _ in range(DEEPEST):
        text = json.dumps({"log": text})
    assert report_in(text) is not None
    assert report_in(json.dumps({"log": text})) is None
    deep: Any = {"event": "drain report"}
    for _ in range(200):
        deep = {"log": deep}
    assert report_in(json.dumps(deep)) is None


HOSTILE = {
    "deep lists": '{"event": "drain report", "steps": ' + "[" * 100_000 + "]" * 100_000 + "}",
    "a deep value": f'event="drain report" steps={"(" * 5000}',
    "many braces": "drain report " + "{" * 100_000,
    "many pairs": 'event="drain report" ' + "a=b " * 10_000 + "steps",
    "quotes": 'event="drain report" steps="' + '\\"' * 50_000,
    "a large number": '{"event": "drain report", "steps": ' + "9" * 5000 + "}",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_line_is_read_soon(text: str) -> None:
    """It gives nothing, or something that is refused later; it never raises."""
    report_in(text)


@given(st.text())
def test_no_line_is_too_strange(text: str) -> None:
    """Whatever stands around the words."""
    report_in(f"{text} drain report {text}")
    report_in(f'{{"log": {json.dumps(text + "drain report")}}}')
    report_in(f'event="drain report" {text}')
