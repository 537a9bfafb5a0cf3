"""One exported service, with its offline reasons and its registrations."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from lifecycle.contracts import Instance
from lifecycle.control.registration import Actual, Registration
from lifecycle.control.those import Those
from lifecycle.exceptions import RegistrationRefused

if TYPE_CHECKING:
    from lifecycle.status_records import ServiceStatus


SHOWN: Final = 3
"""Registries that a reason names at most."""


class ServiceEntry:
    """One exported service with its offline reasons and registrations. Any thread may read it."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self.held_by: dict[str, str] = {}
        self.settles_at = 0.0
        """When `settle` is over after it went offline, by the clock of the control loop."""
        self.registrations: dict[str, Registration] = {}
        self.waiters: set[asyncio.Event] = set()
        self._unconfirmed: Those[Registration] = Those()
        self._left: Those[Registration] = Those()
        self._refused: Those[Registration] = Those()

    def note(self, registration: Registration) -> None:
        """Update the values that depend on one registration."""
        self._unconfirmed.note(
            registration, so=registration.required and not registration.confirmed
        )
        self._left.note(registration, so=registration.actual is not Actual.NO)
        self._refused.note(
            registration, so=registration.required and registration.refused is not None
        )

    def drop(self, registration: Registration) -> None:
        """Remove one registration."""
        del self.registrations[registration.registry.name]
        for those in (self._unconfirmed, self._left, self._refused):
            those.note(registration, so=False)

    @property
    def online(self) -> bool:
        """True if there is no offline reason."""
        return not self.held_by

    @property
    def confirmed(self) -> bool:
        """True if every required registry has acknowledged the service, by its last answer."""
        return not self._unconfirmed

    @property
    def out(self) -> bool:
        """True if the service is not registered in any registry."""
        return not self._left

    def refusal(self) -> RegistrationRefused | None:
        """Return the permanent refusal of a required registry, if there is one."""
        return next((registration.refused for registration in self._refused.first(1)), None)

    def missing(self) -> str:
        """Return in words which required registries have not acknowledged the service, and why."""
        found = [
            f"{each.registry.name} ({each.problem()})" for each in self._unconfirmed.first(SHOWN)
        ]
        return f"unregistered in {', '.join(found)}" if found else "unregistered"

    def status(self) -> ServiceStatus:
        """Return the service as `/status` shows it. For the control loop."""
        return {
            "name": self.instance.service,
            "port": self.instance.port,
            "online": self.online,
            "held_by": dict(self.held_by),
            "registrations": {
                name: registration.status() for name, registration in self.registrations.items()
            },
        }
