"""Observes the app, and keeps what there is to report: the annotation, and the events."""

from __future__ import annotations

import asyncio
import itertools
import math
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import lifecycle
from lifecycle_kubernetes import events
from lifecycle_kubernetes.outbox import Outbox
from lifecycle_kubernetes.status import status
from lifecycle_kubernetes.text import some

if TYPE_CHECKING:
    from lifecycle_kubernetes.place import Options

FINAL: Final = ("stopped", "failed")
"""The last states of an app."""


class Observer:
    """
    Observes one app. For the control loop, except for `look_soon`.

    Args:
        life: The app.
        options: What to report.
        on_change: Called when there may be something new to report.
        clock: The monotonic clock, in seconds.

    Attributes:
        outbox: The events to send.
        text: The newest value of the annotation. None if there is none.
        changed: The time at which this value has changed, on the clock.
        state: The state of the app.
    """

    def __init__(
        self,
        life: lifecycle.Lifecycle,
        options: Options,
        on_change: Callable[[], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._life = life
        self._options = options
        self._on_change = on_change
        self._clock = clock
        self.outbox = Outbox(options.chosen_events)
        self.text: str | None = None
        self.changed = -math.inf
        self.state = ""
        self._seen = 0
        self._offline: set[str] = set()
        self._numbers = itertools.count(time.time_ns())
        self._loop: asyncio.AbstractEventLoop | None = None
        self._slow: asyncio.TimerHandle | None = None
        self._drained: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Start to observe."""
        self._loop = asyncio.get_running_loop()
        snapshot = self._life.snapshot()
        self._seen = len(snapshot["transitions"])
        self._offline = _offline(snapshot)
        start = snapshot.get("start")
        if start is not None and not start["over"]:
            left = self._options.slow_start_after - start["seconds"]
            self._slow = self._loop.call_later(max(0.0, left), self._note_slow_start)
        self.look()

    def close(self) -> None:
        """Look once more, and stop to observe."""
        self.look()
        if self.state not in ("starting", *FINAL):
            self.text = None  # the plugin is removed, so no one keeps the annotation up to date
        if self._slow is not None:
            self._slow.cancel()
        if self._drained is not None:
            self._drained.cancel()

    def look_soon(self) -> None:
        """Look at the app soon. From any thread."""
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self.look)

    def look(self) -> None:
        """Look at the app, and note what there is to report. Never raises."""
        try:
            self._look()
        except Exception as error:  # noqa: BLE001 - a report must not harm what is reported
            self._life.log.debug("kubernetes", problem=f"{type(error).__name__}: {error}")

    def _look(self) -> None:
        snapshot = self._life.snapshot()
        self.state = snapshot["state"]
        transitions = snapshot["transitions"]
        new, self._seen = transitions[self._seen :], len(transitions)
        for each in new:
            self._note_transition(each["to"], each["cause"], each["at"], snapshot)
        if self.state == "ready":
            self._note_services(snapshot)
        text = status(snapshot, self._life.config, urlsplit(self._life.qos_url).port)
        if self._options.status and text != self.text:
            self.text, self.changed = text, self._clock()
        self._on_change()

    def _note_transition(
        self, state: str, cause: str, at: float, snapshot: lifecycle.Snapshot
    ) -> None:
        if state == "registered" and snapshot["services"]:
            names = [each["name"] for each in snapshot["services"] if each["online"]]
            self._put("Registered", f"Registered: {some(names)}.", at)
        elif state == "ready":
            self._put("Ready", events.ready(snapshot), at)
            self._offline = _offline(snapshot)  # which the message has
        elif state == "draining":
            self._put("Draining", f"The drain has started ({cause}).", at)
            self._drained = asyncio.create_task(self._until_drained())
        elif state in FINAL and (drain := snapshot["drain"]) is not None and drain["cut_off"]:
            self._put("CutOff", events.cut_off(drain["cut_off"]), at)

    def _note_services(self, snapshot: lifecycle.Snapshot) -> None:
        before, self._offline = self._offline, _offline(snapshot)
        services = snapshot["services"]
        if gone := [each for each in services if each["name"] in self._offline - before]:
            self._put("Offline", events.offline(gone))
        if back := [each["name"] for each in services if each["name"] in before - self._offline]:
            self._put("Online", events.online(back))

    async def _until_drained(self) -> None:
        with suppress(lifecycle.LifecycleError):  # the app has ended
            await self._life.drained()  # this wait works on any event loop
            self._put("Drained", events.drained(self._life.snapshot()))

    def _note_slow_start(self) -> None:
        with suppress(lifecycle.LifecycleError):  # as above
            start = self._life.snapshot().get("start")
            if start is not None and not start["over"]:
                self._put("StartSlow", events.slow(start, self._options.slow_start_after))

    def _put(self, reason: str, message: str, at: float | None = None) -> None:
        at = time.time() if at is None else at
        event = events.Event(reason, message, at, next(self._numbers))
        if self.outbox.put(event, self._clock()):
            self._on_change()


def _offline(snapshot: lifecycle.Snapshot) -> set[str]:
    return {each["name"] for each in snapshot["services"] if not each["online"]}
