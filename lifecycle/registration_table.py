"""The rows that `lifecycle ls` and `lifecycle status` show for the registrations of a service."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from lifecycle.status_records import RegistrationStatus, ServiceStatus

HEADER: Final = (
    "SERVICE",
    "PORT",
    "STATE",
    "REGISTRY",
    "WANTED",
    "REGISTERED",
    "SINCE",
    "NEXT-TRY",
    "LAST-ERROR",
)
NONE: Final = "-"
_YES: Final[Mapping[object, str]] = {True: "yes", False: "no"}


def rows(service: ServiceStatus) -> list[tuple[object, ...]]:
    """
    Return one row for each service registry, under `HEADER`.

    Args:
        service: The service, as in `/status`. Fields that an older version does not have may be
            missing.
    """
    held = ", ".join(service["held_by"])
    state = "online" if service["online"] else f"offline ({held})"
    first = (service["name"], service["port"] or NONE, state)
    found = [_cells(*each) for each in service["registrations"].items()]
    return [(*first, *each) for each in found or [(NONE,) * 6]]


def _cells(registry: str, found: RegistrationStatus) -> tuple[object, ...]:
    since, next_try = found.get("since"), found.get("next_try")
    return (
        registry,
        _YES.get(found.get("wanted"), NONE),
        found["registered"],
        NONE if since is None else ago(since),
        NONE if next_try is None else f"{next_try:.1f} s",
        found["reason"] or NONE,
    )


def ago(since: float) -> str:
    """Return the time since a moment in words, for example `3.1 s` or `12 min`."""
    seconds = max(0.0, time.time() - since)
    return f"{seconds:.1f} s" if seconds < 60 else f"{seconds / 60:.0f} min"
