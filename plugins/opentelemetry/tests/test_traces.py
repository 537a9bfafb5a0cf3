"""The spans of a start and of a drain, as records."""

from __future__ import annotations

import pytest
from lifecycle_opentelemetry.text import LONGEST
from lifecycle_opentelemetry.traces import MOST, SpanRecord, drain_of, start_of

from plugins.opentelemetry.tests.snapshots import (
    ZERO,
    drain,
    drained,
    started,
    step,
    transition,
)
from plugins.prometheus.tests.snapshots import service

END = ZERO + 108.5


def spans(record: SpanRecord | None) -> dict[str, tuple[float, float]]:
    """The start and the end of each step, in seconds after the start of the process."""
    assert record is not None
    return {
        each.name: (round(each.began - ZERO, 6), round(each.ended - ZERO, 6))
        for each in record.children
    }


def start(**changed) -> SpanRecord:
    record = start_of(started(**changed))
    assert record is not None
    return record


def end(code: int = 0, **changed) -> SpanRecord:
    record = drain_of(drained(**changed), code=code, cause="SIGTERM", now=END)
    assert record is not None
    return record


def test_a_start_has_its_steps_at_their_times():
    """From the start of the process to READY."""
    record = start()
    assert (record.name, record.began, record.ended) == ("lifecycle start", ZERO, ZERO + 4)
    assert spans(record) == {"process": (0.0, 0.5), "imports": (0.5, 3.5)}
    assert record.problem == ""
    assert record.attributes == {
        "pod_lifecycle.services": ["orders"],
        "pod_lifecycle.slowest_step": "imports",
    }
    assert [(each.name, round(each.at - ZERO, 6)) for each in record.events] == [
        ("EXPORTING", 3.6),
        ("READY", 4.0),
    ]


def test_a_step_that_still_runs_ends_with_the_start():
    """And says so; a registration that began after READY is no part of the start."""
    steps = [
        step("watch", 1.0, 90.0, running=True),
        step("registration late@kubernetes", 50.0, 1.0),
    ]
    record = start(start={"seconds": 4.0, "over": True, "steps": steps, "slowest": "watch"})
    assert spans(record) == {"watch": (1.0, 4.0)}
    assert record.children[0].attributes == {"pod_lifecycle.unfinished": True}


def test_a_start_that_fails_is_an_error():
    """It ends with the drain start, and the drain is not among its events."""
    record = start(
        transitions=[transition("exporting", 3.0), transition("draining", 4.0, "main failed")],
    )
    assert record.problem == "The app did not become READY: main failed"
    assert record.ended == ZERO + 4
    assert [each.name for each in record.events] == ["EXPORTING"]


def test_a_start_that_is_not_over_is_no_span():
    """Nor one that nobody has measured."""
    assert start_of(started(transitions=[transition("exporting", 1.0)])) is None
    assert start_of(started(start=None)) is None


def test_a_drain_has_its_steps_at_their_times():
    """Those that run side by side, and those that follow each other."""
    record = end()
    assert (record.name, record.began, record.ended) == ("lifecycle drain", ZERO + 100, END)
    assert spans(record) == {
        "deregister": (100.0, 100.4),
        "settle": (100.0, 105.0),
        "quiet": (105.0, 106.0),
        "wait": (100.0, 106.5),
        "stop": (106.5, 108.0),
    }
    assert [each.name for each in record.events] == ["DRAINING"]
    assert record.attributes == {
        "pod_lifecycle.cause": "SIGTERM",
        "pod_lifecycle.services": ["orders"],
        "pod_lifecycle.cut_off": 0,
        "pod_lifecycle.requests": 6,
        "pod_lifecycle.disturbed_by": ["curl/8"],
        "pod_lifecycle.last_connection": 1.5,
        "pod_lifecycle.last_request": 2.5,
        "process.exit.code": 0,
    }


def test_a_forced_drain_has_no_step_that_ends_before_it_starts():
    """If quiet ends before settle."""
    record = end(drain=drain(steps={"wait": 0.1, "quiet": 0.2, "settle": 0.3, "stop": 0.4}))
    for began, ended in spans(record).values():
        assert 100.0 <= began <= ended


@pytest.mark.parametrize(
    ("code", "cut_off", "problem"),
    [
        (0, [], ""),
        (143, [], ""),
        (1, [], "Exit code 1"),
        (124, ["GET /slow (2.5 s)", "main"], "Exit code 124. Cut off: 2"),
    ],
)
def test_what_is_an_error_of_a_drain(code, cut_off, problem):
    """Not the interruption of a job, which exits with 143."""
    record = end(code, drain=drain(cut_off=cut_off))
    assert record.problem == problem
    assert record.attributes["process.exit.code"] == code
    assert record.attributes["pod_lifecycle.cut_off"] == len(cut_off)


def test_no_drain_is_no_span():
    """As at the end of a `Lifecycle` that has never started."""
    assert drain_of(started(), code=0, cause="", now=END) is None


HOSTILE = ["two\nlines", "\x1b[31m", "\ud800", "x" * 100_000, ""]


def test_hostile_names_are_bounded_text():
    """Whatever an app or a client puts in, the protocol can carry it."""
    record = end(
        services=[service(name) for name in HOSTILE] + [service(str(n)) for n in range(1000)],
        drain=drain(disturbed_by=HOSTILE * 100, cut_off=HOSTILE),
        transitions=[transition("draining", 100.0, HOSTILE[3] + HOSTILE[2])],
    )
    texts = [*record.attributes["pod_lifecycle.services"]]
    assert len(texts) == MOST
    assert len(record.attributes["pod_lifecycle.disturbed_by"]) == MOST
    texts += [record.events[0].attributes["pod_lifecycle.cause"]]
    for text in texts:
        assert len(text.encode()) <= 10 * LONGEST
        assert text.replace("\n", "").isprintable()
