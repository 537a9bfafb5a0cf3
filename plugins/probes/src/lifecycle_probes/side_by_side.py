"""
Several blocking checks at once, under one deadline: the plugin that does so, whatever it checks.

Rules of this file:

1. What hangs (a resolver, a dead NFS server) costs its own target the verdict, and no other.
2. It is not started again while it hangs, so no threads pile up.
3. Its thread is a daemon: executors and anyio join theirs, and hold up the exit.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Generic, Protocol, TypeVar

import lifecycle
from lifecycle_probes.options import time_for_checks

K = TypeVar("K", bound=tuple[object, ...])
K_co = TypeVar("K_co", covariant=True)

CHECKS_SHARE = 0.9
"""What a check has of the time, so that one that keeps it words its own failure."""


class Options(Protocol[K_co]):
    """
    What the options of such a plugin have.

    Attributes:
        timeout: Seconds for all checks.
    """

    @property
    def timeout(self) -> float: ...

    def keys(self) -> Sequence[K_co]:
        """Return what is checked; the first item of each is its name."""


class SideBySideProbe(Generic[K]):
    """
    A plugin that is ready while every check of its options succeeds.

    Args:
        options: The class of its options.
        check: Called in a thread of its own with a key and the seconds it has.
        hanging: What to say of a check that does not return.
    """

    def __init__(
        self,
        options: type[Options[K]],
        check: Callable[[K, float], lifecycle.ProbeResult],
        *,
        hanging: str,
    ) -> None:
        self._options = options
        self._checks: SideBySide[K] = SideBySide(check, lambda key: str(key[0]), hanging=hanging)

    @lifecycle.hookimpl
    def lifecycle_options(self) -> type[object]:
        """Give the options."""
        return self._options

    @lifecycle.hookimpl
    def lifecycle_readiness(
        self, life: lifecycle.Lifecycle, me: lifecycle.Me
    ) -> list[lifecycle.ProbeResult]:
        """Check every key, side by side."""
        options = me.options(self._options)
        timeout = time_for_checks(options.timeout, life.config.probe_timeout)
        return self._checks.results(options.keys(), timeout)


class SideBySide(Generic[K]):
    """
    Runs the checks of one probe.

    Args:
        check: Called in a thread of its own with a key and the seconds it has.
        name: Names a key in the results.
        hanging: What to say of a check that does not return.
    """

    def __init__(
        self,
        check: Callable[[K, float], lifecycle.ProbeResult],
        name: Callable[[K], str],
        *,
        hanging: str,
    ) -> None:
        self._check = check
        self._name = name
        self._hanging = hanging
        self._under_way: dict[K, _Run] = {}

    def results(self, keys: Iterable[K], timeout: float) -> list[lifecycle.ProbeResult]:
        """Check every key; what has no result after `timeout` seconds is a failure that says so."""
        deadline = time.monotonic() + timeout
        runs = [self._run(key, timeout * CHECKS_SHARE) for key in keys]
        return [self._result(run, deadline) for run in runs]

    def _run(self, key: K, timeout: float) -> _Run:
        run = self._under_way.get(key)
        if run is None or run.done.is_set():
            run = self._under_way[key] = _Run(self._name(key))

            def work() -> None:
                try:
                    run.result = self._check(key, timeout)
                except Exception as error:  # noqa: BLE001 - one target's failure is not another's
                    reason = f"raised {type(error).__name__}: {error}"
                    run.result = lifecycle.ProbeResult(False, reason, run.name)
                run.done.set()

            threading.Thread(target=work, name=f"lifecycle-probes-{run.name}", daemon=True).start()
        return run

    def _result(self, run: _Run, deadline: float) -> lifecycle.ProbeResult:
        if run.done.wait(max(0.0, deadline - time.monotonic())) and run.result is not None:
            return run.result
        hanging = time.monotonic() - run.started_at
        reason = f"no answer for {hanging:.1f} s: {self._hanging}"
        return lifecycle.ProbeResult(False, reason, run.name)


class _Run:
    """One check under way."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.started_at = time.monotonic()
        self.done = threading.Event()
        self.result: lifecycle.ProbeResult | None = None
