"""A registry that is being removed while the app runs, or while it drains."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from lifecycle.contracts import Registry
from lifecycle.control.registration import Actual, Registration
from lifecycle.control.those import Those


class LeavingRegistry:
    """
    A registry that is being removed. Readiness ignores it, but services are still registered.

    Args:
        registry: The registry.
        tasks: The tasks that keep its registrations.
        on_change: Called after each change of a registration.

    Attributes:
        registrations: Its registrations, with the names of their services.
        to_forget: Its registrations for which `forget` has not succeeded yet.
    """

    def __init__(
        self,
        registry: Registry,
        tasks: list[asyncio.Task[None]],
        on_change: Callable[[Registration], None],
    ) -> None:
        self.registry = registry
        self.tasks = tasks
        self.registrations: list[tuple[str, Registration]] = []
        self.to_forget: Those[Registration] = Those()
        self._on_change = on_change
        self._left: Those[Registration] = Those()

    @property
    def out(self) -> bool:
        """True when no service is registered there any more."""
        return not self._left

    def take(self, service: str, registration: Registration) -> None:
        """Take over one registration, and deregister it."""
        self.registrations.append((service, registration))
        registration.on_change = self._note
        self._note(registration)
        registration.want(wanted=False)

    def forget(self) -> None:
        """Have the registry drop every address that it may still know."""
        for each in self.to_forget:
            each.forget()

    def _note(self, registration: Registration) -> None:
        self._left.note(registration, so=registration.actual is not Actual.NO)
        self.to_forget.note(registration, so=registration.to_forget)
        self._on_change(registration)
