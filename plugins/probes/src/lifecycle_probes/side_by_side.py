"""
Runs several blocking checks in parallel, with one deadline.

Rules of this file:

1. If a check hangs, for example in a resolver or on a dead NFS server, only its own target fails.
2. While a check hangs, it is not started again, so that threads do not pile up.
3. The threads are daemon threads. Executors and anyio would wait for theirs at the exit.
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
"""The share of the time for a check, so that it can give its own reason."""


class Options(Protocol[K_co]):
    """
    The options of such a plugin.

    Attributes:
        timeout: Seconds for all checks together.
    """

    @property
    def timeout(self) -> float: ...

    def keys(self) -> Sequence[K_co]:
        """Return the targets to check. The first item of each one is its name."""


class SideBySideProbe(Generic[K]):
    """
    A plugin that is ready while every check succeeds.

    Args:
        options: The class of its options.
        check: Called in a separate thread with a key and its seconds.
        hanging: The reason for a check that does not return.
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
        """Return the options class."""
        return self._options

    @lifecycle.hookimpl
    def lifecycle_readiness(
        self, life: lifecycle.Lifecycle, me: lifecycle.Me
    ) -> list[lifecycle.ProbeResult]:
        """Check all keys in parallel."""
        options = me.options(self._options)
        timeout = time_for_checks(options.timeout, life.config.probe_timeout)
        return self._checks.results(options.keys(), timeout)


class SideBySide(Generic[K]):
    """
    Runs the checks of one probe.

    Args:
        check: Called in a separate thread with a key and its seconds.
        name: Returns the name of a key for the results.
        hanging: The reason for a check that does not return.
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
        """Check all keys. A check without a result after `timeout` seconds has failed."""
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
                except Exception as error:  # noqa: BLE001 - a failure must not affect other targets
                    reason = f"raised {type(error).__name__}: {error}"
                    run.result = lifecycle.ProbeResult(False, reason, run.name)
                run.done.set()

            threading.Thread(target=work, name=f"lifecycle-probes-{run.name}", daemon=True).start()
        return run

    def _result(self, run: _Run, deadline: float) -> lifecycle.ProbeResult:
        if run.done.wait(max(0.0, deadline - time.monotonic())) and run.result is not None:
            return run.result
        hanging = time.monotonic() - run.started_at
        reason = f"no answer for {hanging:.1f} s, {self._hanging}"
        return lifecycle.ProbeResult(False, reason, run.name)


class _Run:
    """One check that is running."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.started_at = time.monotonic()
        self.done = threading.Event()
        self.result: lifecycle.ProbeResult | None = None
