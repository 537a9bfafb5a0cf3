"""
Reports the state of the app to the cluster: an annotation on the pod, and Kubernetes Events.

Rules of this file:

1. Nothing waits for a report. If the API server is unavailable, reports delay neither a
   registration nor the drain. Only the last reports have `CLOSE_TIME`, which is a part of the
   time in which registries are closed.
2. The annotation is in every patch that the registry sends. It is a request of its own only if
   the registry does not write soon, and at most once in `PACE` seconds.
3. One report is sent at a time, with the newest annotation. Reports wait until the registry has
   written, so that they use its connection.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Final

import lifecycle
from lifecycle_kubernetes.backoff import Backoff
from lifecycle_kubernetes.errors import ApiServerError
from lifecycle_kubernetes.events import Event, Pod, event_object
from lifecycle_kubernetes.known import Known
from lifecycle_kubernetes.layout import Object
from lifecycle_kubernetes.observer import Observer
from lifecycle_kubernetes.status import status_patch
from lifecycle_kubernetes.writer import INVALID

if TYPE_CHECKING:
    from lifecycle_kubernetes.api import ApiServer
    from lifecycle_kubernetes.place import Options

PACE: Final = 1.0
"""Seconds between two requests for the annotation alone. No report waits longer for the registry."""
CLOSE_TIME: Final = 0.3
"""Seconds that the last reports have, out of the 0.5 s in which registries are closed."""
FAILING_CLOSE_TIME: Final = 0.1
"""The same if the API server did not answer before."""
PASSING: Final = ("exporting", "registered")
"""States that usually end within a second. Otherwise they are reported too."""
PERMANENT: Final = ("forbidden", "not found", INVALID, "refused (")
"""The beginning of answers after which the same report is not sent again."""
STATUS_RULE: Final = 'apiGroups: [""], resources: ["pods/status"], verbs: ["patch"]'
"""The rule of the Role for the annotation."""
EVENTS_RULE: Final = 'apiGroups: [""], resources: ["events"], verbs: ["create"]'
"""The rule of the Role for events, which older manifests do not have."""


class Reporter:
    """
    Reports one app. For the control loop, except for `look_soon`.

    Args:
        life: The app.
        options: What to report.
        writes: Returns whether the registry is going to write to the pod.
        clock: The monotonic clock, in seconds.
    """

    def __init__(
        self,
        life: lifecycle.Lifecycle,
        options: Options,
        writes: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._life = life
        self._writes = writes
        self._clock = clock
        self._wake = asyncio.Event()
        self._app = Observer(life, options, self._wake.set, clock)
        self._known = Known()
        self._refused: str | None = ""
        self._told = False
        self._written = self._retry = -math.inf
        self._backoff = Backoff()
        self._closing = False
        self._task: asyncio.Task[None] | None = None

    def look_soon(self) -> None:
        """Look at the app soon. From any thread."""
        self._app.look_soon()

    def open(self) -> None:
        """Start to observe the app."""
        self._app.open()

    def begin(self, api: ApiServer, pod: Object) -> None:
        """Start to send, because this pod is known now."""
        metadata, node = pod["metadata"], (pod.get("spec") or {}).get("nodeName")
        self._app.look()  # the settings may have changed by what the pod says
        self._api = api
        self._pod = Pod(metadata["name"], metadata["namespace"], metadata["uid"], node or "")
        self._task = asyncio.create_task(self._send())

    async def close(self) -> None:
        """Send what is left, but do not wait for an API server that does not answer."""
        self._app.close()
        self._closing = True
        self._wake.set()
        if self._task is None:
            return
        failing = self._retry > -math.inf
        try:
            await asyncio.wait({self._task}, timeout=FAILING_CLOSE_TIME if failing else CLOSE_TIME)
        finally:
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=FAILING_CLOSE_TIME)

    # The patches of the registry

    @contextmanager
    def riding(self) -> Iterator[str | None]:
        """
        Give the annotation for a patch of the registry, which the block sends. None for none.

        The answer to the first registration ends the state `exporting`, so this state is left out.
        """
        self._app.look()
        text = None if self._app.state in PASSING else self._app.text
        text = None if text == self._refused else text
        try:
            with nullcontext() if text is None else self._writing(text):
                yield text
        except ApiServerError as error:
            if text is not None and error.state == INVALID:  # perhaps because of this report
                self._refused = text
            raise
        finally:  # soon, because the registry must have noted the answer
            asyncio.get_running_loop().call_soon(self._wake.set)

    @contextmanager
    def _writing(self, text: str | None) -> Iterator[None]:
        self._written = self._clock()
        number, accepted = self._known.sent(text), False
        try:
            yield
            accepted = True
        finally:
            self._known.answered(number, accepted=accepted)

    # The own requests

    async def _send(self) -> None:
        """Send each report when it is due, until `close`. After that, send the last ones once."""
        while True:
            self._wake.clear()
            status_at, event_at = self._status_at(), self._event_at()
            at = min(status_at, event_at)
            if self._closing and at == math.inf:
                return
            if not self._closing and (left := at - self._clock()) > 0:
                with suppress(TimeoutError):
                    async with asyncio.timeout(None if left == math.inf else left):
                        await self._wake.wait()
            elif status_at <= event_at:
                await self._send_status()
            elif (event := self._app.outbox.first) is not None:
                await self._send_event(event)

    def _status_at(self) -> float:
        """Return the time at which the annotation is due."""
        if self._app.text in (self._known.text, self._refused):
            return math.inf
        held = self._app.state in PASSING or self._writes()
        return max(self._written + PACE, self._retry, self._app.changed + PACE if held else 0.0)

    def _event_at(self) -> float:
        """Return the time at which the next event is due."""
        if self._app.outbox.first is None:
            return math.inf
        return max(self._retry, self._app.outbox.since + PACE if self._writes() else 0.0)

    async def _send_status(self) -> None:
        text = self._app.text
        try:
            with self._writing(text):
                await self._attempt(self._api.patch_status(status_patch(self._pod.uid, text)))
        except ApiServerError as error:
            if self._closing or error.state.startswith(PERMANENT):
                self._refused = text
            if error.state == "forbidden" and not self._told:
                self._told = True
                self._life.log.info(
                    "kubernetes",
                    pod=self._pod.name,
                    status="not written",
                    rule=STATUS_RULE,
                    reason=str(error),
                )

    async def _send_event(self, event: Event) -> None:
        outbox = self._app.outbox
        try:
            await self._attempt(self._api.create_event(event_object(event, self._pod)))
        except ApiServerError as error:
            if error.state == "forbidden":
                outbox.close()
                self._life.log.info(
                    "kubernetes",
                    pod=self._pod.name,
                    events="off",
                    rule=EVENTS_RULE,
                    reason=str(error),
                )
            elif self._closing or error.state.startswith(PERMANENT):
                outbox.sent(self._clock())  # it counts, because it was a request
        else:
            outbox.sent(self._clock())

    async def _attempt(self, request: Awaitable[object]) -> None:
        """
        Wait for a request. After a failure, the next request waits for a while.

        Raises:
            ApiServerError: The request has failed, for any reason.
        """
        try:
            await request
        except Exception as error:
            failure = error if isinstance(error, ApiServerError) else None
            if failure is None or not failure.state.startswith(PERMANENT):
                self._retry = self._clock() + self._backoff.next()
            raise failure or ApiServerError("broken", repr(error)) from error
        self._retry = -math.inf
        self._backoff.reset()
