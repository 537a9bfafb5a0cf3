"""Calls that hang or raise, side by side."""

from __future__ import annotations

import threading
import time

from lifecycle_opentelemetry.flushing import side_by_side


def test_each_call_has_all_the_time() -> None:
    """One that hangs costs the others nothing; its thread is left behind."""
    over = threading.Event()
    seen: list[str] = []

    def hangs() -> str:
        over.wait(20)
        return ""

    def works() -> str:
        seen.append("works")
        return ""

    began = time.monotonic()
    found = side_by_side({"hanging": hangs, "good": works, "bad": lambda: "a problem"}, 0.3)
    over.set()
    assert seen == ["works"]
    assert found == {"hanging": "No answer for 0.3 s.", "bad": "a problem"}
    assert time.monotonic() - began < 10


def test_an_error_is_a_problem() -> None:
    """Even one that no program should catch."""

    def exits() -> str:
        raise SystemExit(3)

    assert side_by_side({"one": exits}, 10) == {"one": "SystemExit: 3"}


def test_nothing_to_do() -> None:
    """Takes no time."""
    assert side_by_side({}, 10) == {}
