"""The start report: its steps, their bounds, and what is shown of them."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from typing import Any

import pytest

import lifecycle
from lifecycle import start_report
from lifecycle.start_report import KEPT, LOGGED, StartReport


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """Make a clock."""
    return Clock()


@pytest.fixture
def report(clock: Clock) -> StartReport:
    """Make a report whose start begins now."""
    made = StartReport(clock)
    made.opened(first=False)
    return made


def took(report: StartReport, clock: Clock, name: str, seconds: float) -> None:
    """Take a step."""
    with report.step(name):
        clock.now += seconds


def broken(report: StartReport, clock: Clock, error: type[BaseException]) -> None:
    """Take a step that raises."""
    with report.step("imports"):
        clock.now += 1
        raise error


def test_the_steps_in_their_order_and_the_slowest_of_them(
    report: StartReport, clock: Clock
) -> None:
    """Each with when it began, since the start of the process, and how long it took."""
    took(report, clock, "plugin a", 0.25)
    clock.now += 1
    took(report, clock, "imports", 2.5)
    took(report, clock, "plugin b", 0.5)
    report.finish()
    clock.now += 60
    assert report.status() == {
        "seconds": 4.25,
        "over": True,
        "steps": [
            {"name": "plugin a", "began": 0.0, "seconds": 0.25},
            {"name": "imports", "began": 1.25, "seconds": 2.5},
            {"name": "plugin b", "began": 3.75, "seconds": 0.5},
        ],
        "slowest": "imports",
    }
    assert report.summary() == (
        4.25,
        "imports",
        {"imports": 2.5, "plugin b": 0.5, "plugin a": 0.25},
        [],
    )
    assert list(report.summary().steps) == ["imports", "plugin b", "plugin a"]


def test_a_start_that_goes_on(report: StartReport, clock: Clock) -> None:
    """What still runs is shown with its seconds so far, and may be the slowest."""
    took(report, clock, "imports", 1)
    report.main("main")
    clock.now += 3
    assert report.status() == {
        "seconds": 4.0,
        "over": False,
        "steps": [
            {"name": "imports", "began": 0.0, "seconds": 1.0},
            {"name": "main", "began": 1.0, "seconds": 3.0, "running": True},
        ],
        "slowest": "main",
    }
    report.finish()
    clock.now += 5
    assert report.summary().unfinished == ["main"]
    assert report.status()["seconds"] == 4.0
    report.main()
    assert report.summary().unfinished == []


def test_without_a_step_there_is_no_slowest(report: StartReport) -> None:
    """And nothing breaks."""
    assert report.status() == {"seconds": 0.0, "over": False, "steps": [], "slowest": ""}
    assert report.summary() == (0.0, "", {}, [])


def test_steps_of_one_name_are_one_in_the_log(report: StartReport, clock: Clock) -> None:
    """A plugin is imported, asked for its registries, and asked for its commands."""
    took(report, clock, "plugin a", 1)
    took(report, clock, "main", 1.5)
    took(report, clock, "plugin a", 1)
    assert report.summary().steps == {"plugin a": 2.0, "main": 1.5}
    assert report.summary().slowest == "plugin a"


def test_what_takes_no_time_is_not_in_the_log(report: StartReport, clock: Clock) -> None:
    """And of much that does, the longest."""
    took(report, clock, "nothing", 0.0004)
    assert report.summary().steps == {}
    for number in range(30):
        took(report, clock, str(number), 1 + number)
    assert list(report.summary().steps) == [str(each) for each in range(29, 29 - LOGGED, -1)]


def test_main_goes_from_step_to_step(report: StartReport, clock: Clock) -> None:
    """One begins where the other ends, and the last ends with the first export."""
    report.main("lifespan")
    clock.now += 2
    report.main("server")
    clock.now += 1
    report.main()
    clock.now += 1
    report.main()
    steps = [(step["name"], step["seconds"]) for step in report.status()["steps"]]
    assert steps == [("lifespan", 2.0), ("server", 1.0)]


@pytest.mark.parametrize("error", [ValueError, OSError])
def test_a_step_that_fails_has_ended(
    report: StartReport, clock: Clock, error: type[Exception]
) -> None:
    """Its error is not ours to swallow."""
    with pytest.raises(error):
        broken(report, clock, error)
    assert report.status()["steps"] == [{"name": "imports", "began": 0.0, "seconds": 1.0}]


@pytest.mark.parametrize("error", [asyncio.CancelledError, KeyboardInterrupt, SystemExit])
def test_a_step_that_is_interrupted_has_not(
    report: StartReport, clock: Clock, error: type[BaseException]
) -> None:
    """That is what hung, so the report names it."""
    with pytest.raises(error):
        broken(report, clock, error)
    assert report.summary().unfinished == ["imports"]


def test_the_longest_are_kept_of_many(report: StartReport, clock: Clock) -> None:
    """10,000 registrations cost the memory of a hundred."""
    steps = [report.begin(f"registration {number}@r") for number in range(10_000)]
    assert len(report.status()["steps"]) == KEPT
    for number, step in enumerate(steps):
        clock.now = 100 + (number * 7919 % 10_000)
        report.end(step)
    kept = sorted(step["seconds"] for step in report.status()["steps"])
    assert kept == [float(each) for each in range(9_900, 10_000)]
    assert len(report._longest) == KEPT
    assert not report._running


def test_after_the_end_nothing_is_added(report: StartReport, clock: Clock) -> None:
    """What is exported after READY is no part of the start; a late startup probe is."""
    report.finish()
    with report.step("registration late@r"):
        clock.now += 1
    probe = report.begin("startup probe a", after_ready=True)
    clock.now += 1
    report.end(probe)
    report.finish()
    status = report.status()
    assert [step["name"] for step in status["steps"]] == ["startup probe a"]
    assert status["seconds"] == 0.0


def test_what_is_not_wanted_any_more_is_forgotten(report: StartReport) -> None:
    """And to end what was never begun does nothing."""
    step = report.begin("registration a@r")
    report.drop(step)
    report.end(step)
    report.end(None)
    report.drop(None)
    assert report.status()["steps"] == []


def test_a_hostile_name_is_short_and_on_one_line(report: StartReport, clock: Clock) -> None:
    """It comes from who names services and plugins."""
    took(report, clock, "registration \n\x1b[31m\u202e" + "x" * 10_000, 1)
    (step,) = report.status()["steps"]
    assert step["name"].isprintable()
    assert len(step["name"]) < 200


def test_it_counts_from_the_start_of_the_process(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which the kernel knows, to 10 ms; then from our first line."""
    monkeypatch.setattr(start_report, "_age_of_process", lambda: 5.0)
    monkeypatch.setattr(start_report, "_age_of_first_line", lambda: 3.0)
    report = StartReport(clock, "lifecycle run")
    report.opened(first=True)
    took(report, clock, "imports", 1)
    assert report.status()["steps"] == [
        {"name": "process", "began": 0.0, "seconds": 2.0},
        {"name": "lifecycle run", "began": 2.0, "seconds": 3.0},
        {"name": "imports", "began": 5.0, "seconds": 1.0},
    ]
    assert report.status()["seconds"] == 6.0


@pytest.mark.parametrize(
    ("process", "line", "steps"),
    [
        (None, 3.0, [("program", 0.0, 3.0)]),
        (2.0, 3.0, [("process", 0.0, 0.0), ("program", 0.0, 2.0)]),
    ],
    ids=["unknown", "forked after our first line"],
)
def test_where_the_process_is_younger_or_unknown(
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    process: float | None,
    line: float,
    steps: list[Any],
) -> None:
    """It counts from the first that is known, and nothing is negative."""
    monkeypatch.setattr(start_report, "_age_of_process", lambda: process)
    monkeypatch.setattr(start_report, "_age_of_first_line", lambda: line)
    report = StartReport(clock)
    report.opened(first=True)
    found = [(s["name"], s["began"], s["seconds"]) for s in report.status()["steps"]]
    assert found == steps


def test_the_age_of_this_process() -> None:
    """As the kernel has it: it is not younger than what it has done since."""
    age = start_report._age_of_process()
    if not os.path.exists("/proc/self/stat"):
        assert age is None
        return
    assert age is not None
    assert age >= start_report._age_of_first_line() - 0.02
    assert lifecycle.__began__ <= time.monotonic()


def test_where_there_is_no_such_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another system, or a sandbox: unknown, and no error."""
    monkeypatch.delattr(time, "CLOCK_BOOTTIME", raising=False)
    assert start_report._age_of_process() is None
    monkeypatch.setattr("builtins.open", lambda *_: (_ for _ in ()).throw(OSError))
    assert start_report._age_of_process() is None
    monkeypatch.setitem(sys.modules, "lifecycle", None)
    assert start_report._age_of_first_line() < 1


def test_from_many_threads(report: StartReport) -> None:
    """Nothing is lost, and nothing counted twice."""

    def work() -> None:
        for number in range(100):
            with report.step(f"step {number}"):
                report.status()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(30)
    assert len(report.status()["steps"]) == KEPT
    assert not report._running
