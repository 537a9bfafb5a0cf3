"""
The answers of a pod: `lifecycle status`, `lifecycle inflight`, and the open ports.

The answers come from inside a container, so they may have any shape.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final, NamedTuple

from lifecycle_fleet.why.reading import EMPTY, Object, mapping, number, objects, text

LISTENING: Final = "0A"
"""The state of a listening socket in `/proc/net/tcp`."""
LOOPBACK: Final = ("0100007F", "00000000000000000000000001000000")
MAPPED_LOOPBACK: Final = "0000000000000000FFFF00000100007F"


class Registration(NamedTuple):
    """One service in one service registry."""

    service: str
    registry: str
    registered: str
    reason: str


class Answer(NamedTuple):
    """The last answer of one probe."""

    kind: str
    name: str
    ok: bool
    reason: str


class Answers(NamedTuple):
    """
    The answers of one pod.

    Attributes:
        status: The answer of `lifecycle status --json`. Empty if there is none.
        inflight: The answer of `lifecycle inflight --json`. Empty if there is none.
        installed: The installed plugins of pod-lifecycle, by name, each with its problem. None if
            it is unknown.
        listening: The ports on which the pod listens, each with whether other machines reach it.
            None if it is unknown.
        no_program: Whether there is no program `lifecycle` on the `PATH` of the container.
        problem: Why there is no status. Empty if there is one, or if the pod was not asked.
    """

    status: Object = EMPTY
    inflight: Object = EMPTY
    installed: dict[str, str] | None = None
    listening: dict[int, bool] | None = None
    no_program: bool = False
    problem: str = ""

    @property
    def state(self) -> str:
        """The state of the app, or empty."""
        return text(self.status, "state")

    def probes(self) -> Iterator[Answer]:
        """Yield the last answers of the probes."""
        for each in objects(self.status, "probes"):
            yield Answer(
                text(each, "kind"),
                text(each, "name"),
                each.get("ok") is not False,
                text(each, "reason"),
            )

    def registrations(self) -> Iterator[Registration]:
        """Yield each service in each service registry."""
        for service in objects(self.status, "services"):
            for registry in mapping(service, "registrations"):
                found = mapping(service, "registrations", registry)
                yield Registration(
                    text(service, "name"),
                    str(registry),
                    text(found, "registered"),
                    text(found, "reason"),
                )

    def services(self) -> dict[str, int | None]:
        """Return the services that the app exports, each with its port."""
        return {
            text(each, "name"): None if (port := number(each, "port")) is None else int(port)
            for each in objects(self.status, "services")
        }


def status_of(out: str) -> Object:
    """Return what a command has printed as JSON, or an empty object."""
    try:
        found = json.loads(out)
    except (ValueError, RecursionError):
        return EMPTY
    return found if isinstance(found, dict) else EMPTY


def plugins_of(out: str) -> dict[str, str] | None:
    """Return the plugins of the table of `lifecycle plugins`, each with its problem."""
    head, *rows = out.splitlines() or [""]
    if head.split() != ["PLUGIN", "HOOKS", "PROBLEM"]:
        return None
    at = head.index("PROBLEM")
    found = {}
    for row in rows:
        if name := row.split(maxsplit=1)[:1]:
            problem = row[at:].strip()
            found[name[0]] = "" if problem == "-" else problem
    return found


def listening_of(tables: str) -> dict[int, bool] | None:
    """
    Return the ports of `/proc/net/tcp` and `/proc/net/tcp6`.

    Args:
        tables: The content of one or both files.

    Returns:
        For each port, whether other machines reach it. None if the text has no table.
    """
    if "local_address" not in tables:
        return None
    found: dict[int, bool] = {}
    for line in tables.splitlines():
        fields = line.split()
        if len(fields) < 4 or fields[3] != LISTENING:
            continue
        address, _, port = fields[1].rpartition(":")
        try:
            number = int(port, 16)
        except ValueError:
            continue
        reached = address not in (*LOOPBACK, MAPPED_LOOPBACK)
        found[number] = found.get(number, False) or reached
    return found
