"""The settle time that a drain needs: the setting, or the longest one of its registries."""

from __future__ import annotations

import asyncio
import math

from lifecycle.contracts import Registry
from lifecycle.control.registration import Actual, Registration
from lifecycle.control.those import Those
from lifecycle.drain.timetable import SettleTime


class _Held:
    """The registrations that one registry holds."""

    def __init__(self, registry: Registry, settle: float) -> None:
        self.registry = registry
        self.settle = settle
        self.registrations: Those[Registration] = Those()
        self.left_at = -math.inf
        """When the last one was deregistered. Clients may still use its address after that."""

    def counts(self, now: float) -> bool:
        return bool(self.registrations) or now - self.left_at < self.settle


class SettleTimes:
    """
    Finds the settle time of a drain that starts now. For the control loop.

    Args:
        configured: The setting `settle`, in seconds.
    """

    def __init__(self, configured: float) -> None:
        self._configured = configured
        self._held: dict[int, _Held] = {}

    def note(self, registration: Registration) -> None:
        """Store whether the registry holds this registration."""
        registry = registration.registry
        if registry.settle is None:
            return
        held = self._held.get(id(registry))
        if held is None:
            now = asyncio.get_running_loop().time()
            self._held = {key: each for key, each in self._held.items() if each.counts(now)}
            held = self._held[id(registry)] = _Held(registry, registry.settle)
        before = bool(held.registrations)
        held.registrations.note(registration, so=registration.actual is not Actual.NO)
        if before and not held.registrations:
            held.left_at = asyncio.get_running_loop().time()

    def longest(self) -> SettleTime:
        """Return the setting, or the longest time of a registry that holds a registration."""
        now = asyncio.get_running_loop().time()
        found = SettleTime(self._configured)
        for each in self._held.values():
            if each.settle > found.seconds and each.counts(now):
                found = SettleTime(each.settle, each.registry.name)
        return found
