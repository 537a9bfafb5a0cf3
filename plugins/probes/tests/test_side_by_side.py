"""Checks that hang."""

from __future__ import annotations

import threading

from lifecycle_probes.side_by_side import SideBySide

import lifecycle


def test_a_check_that_hangs_is_not_started_again_until_it_is_back():
    """However often it is asked, one thread waits; when that is back, the next is fresh."""
    release, started = threading.Event(), []

    def check(key, _timeout):
        started.append(key)
        if key == "stuck":
            release.wait(10)
        return lifecycle.ProbeResult(True, "fine", key)

    def fresh():
        return lifecycle.ProbeResult(True, "fine", "stuck") in checks.results(["stuck"], 5)

    checks = SideBySide(check, str, hanging="it hangs")
    try:
        for _ in range(20):
            stuck, well = checks.results(["stuck", "well"], 0.01)
            assert (stuck.ok, stuck.name) == (False, "stuck")
            assert stuck.reason.endswith(", it hangs")
            assert (well.ok, well.name) == (True, "well") or "no answer" in well.reason
        assert started.count("stuck") == 1
    finally:
        release.set()

    assert fresh()
    assert fresh()
    assert started.count("stuck") in {2, 3}


def test_a_check_that_raises_is_a_failure_of_its_own_target():
    """Named, with what was raised; the next target has its answer."""

    def check(key, _timeout):
        if key == "bad":
            raise LookupError("no such thing")
        return lifecycle.ProbeResult(True, "", key)

    bad, good = SideBySide(check, str, hanging="it hangs").results(["bad", "good"], 5)

    assert (bad.ok, bad.name, bad.reason) == (False, "bad", "raised LookupError: no such thing")
    assert good.ok
