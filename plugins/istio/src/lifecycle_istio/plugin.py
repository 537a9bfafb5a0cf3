"""The plugin, which starts main when the sidecar is ready, and ends the sidecar after main."""

from __future__ import annotations

import threading
import time
from typing import Final

import lifecycle
from lifecycle_istio.options import Options, Url, read_url

ATTEMPT: Final = 1.0
"""Seconds that one request for the readiness of the sidecar may take."""
FIRST_PAUSE: Final = 0.05
LONGEST_PAUSE: Final = 0.5
QUIT_TIME: Final = 0.3
"""Seconds that the request to end may take. The hook of the last transition has 0.4 s."""
ENDS: Final = (lifecycle.State.STOPPED, lifecycle.State.FAILED)


class Istio:
    """Waits for Istio's sidecar at the start, and ends it at the end of a job."""

    def __init__(self) -> None:
        self._leaving = threading.Event()
        self._began = time.monotonic()
        self._ready = False
        self._reason = "no request has been sent yet"

    @lifecycle.hookimpl
    def lifecycle_options(self) -> type[Options]:
        """Return the options class."""
        return Options

    @lifecycle.hookimpl
    def lifecycle_start(self, life: lifecycle.Lifecycle, me: lifecycle.Me) -> None:
        """
        Wait for the sidecar.

        Raises:
            LifecycleError: The sidecar did not become ready in time.
        """
        from lifecycle_istio import sidecar  # also for the end, when nothing can be imported

        options = me.options(Options)
        if not options.wait:
            return
        import tenacity

        url = read_url(options.ready_url)

        def note(attempt: tenacity.RetryCallState) -> None:
            self._reason = str(attempt.outcome.exception()) if attempt.outcome else ""

        self._began = time.monotonic()
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(sidecar.Unanswered),
            wait=tenacity.wait_exponential(FIRST_PAUSE, max=LONGEST_PAUSE),
            stop=tenacity.stop_after_delay(options.wait_timeout)
            | tenacity.stop_when_event_set(self._leaving),
            sleep=tenacity.sleep_using_event(self._leaving),
            after=note,
            reraise=True,
        )
        try:
            retrying(sidecar.ask, "GET", url, min(ATTEMPT, options.wait_timeout))
        except sidecar.Unanswered as problem:
            raise lifecycle.LifecycleError(
                f"the sidecar was not ready within {options.wait_timeout:g} s: {url}: {problem}. "
                "To find out why, run `kubectl logs POD -c istio-proxy`. "
                "To wait longer, set LIFECYCLE_ISTIO_WAIT_TIMEOUT. "
                "If the pod has no sidecar, set LIFECYCLE_ISTIO_WAIT=false.",
                see="errors.md#sidecar-not-ready",
            ) from None
        self._ready = True
        life.log.info("istio", sidecar="ready", seconds=round(self._waited(), 3))

    def _waited(self) -> float:
        return time.monotonic() - self._began

    @lifecycle.hookimpl
    def lifecycle_startup(self, me: lifecycle.Me) -> lifecycle.ProbeResult | None:
        """Fail while the start waits for the sidecar, with the reason."""
        if self._ready or not me.options(Options).wait:
            return None
        return lifecycle.ProbeResult(
            False, f"the sidecar has not been ready for {self._waited():.1f} s: {self._reason}"
        )

    @lifecycle.hookimpl
    def lifecycle_readiness(self, me: lifecycle.Me) -> lifecycle.ProbeResult | None:
        """Fail in the same way. Later, the pod's readiness includes the probe of the sidecar."""
        return self.lifecycle_startup(me)

    @lifecycle.hookimpl
    def lifecycle_transition(
        self, life: lifecycle.Lifecycle, transition: lifecycle.Transition, me: lifecycle.Me
    ) -> None:
        """Stop waiting when the drain starts. End the sidecar when main has ended."""
        if transition.after.leaving:
            self._leaving.set()
        if transition.after in ENDS and me.options(Options).quit:
            self._quit(life, read_url(me.options(Options).quit_url))

    @staticmethod
    def _quit(life: lifecycle.Lifecycle, url: Url) -> None:
        from lifecycle_istio import sidecar

        try:
            sidecar.ask("POST", url, QUIT_TIME)
        except sidecar.Unanswered as problem:
            life.log.warning(
                "istio",
                sidecar="not told to end",
                reason=f"{url}: {problem}",
                see=lifecycle.LifecycleError(see="errors.md#sidecar-not-ended").see,
            )
        else:
            life.log.info("istio", sidecar="told to end")
