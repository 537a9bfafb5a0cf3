# ruff: noqa: INP001 - beside the script that uses it
"""The fields of the JSON that `/status` and `/inflight` answer with, from its typed records."""

from __future__ import annotations

import inspect
import re
from typing import Any, Final

from markdown_parts import table

from lifecycle import status_records

RECORDS: Final = {
    "Everything together:": status_records.Snapshot,
    "Each entry of `services`:": status_records.ServiceStatus,
    "Each registration of a service. A registry may add its own fields:": (
        status_records.RegistrationStatus
    ),
    "Each entry of `probes`:": status_records.ProbeStatus,
    "Each entry of `probe_runs`:": status_records.ProbeRuns,
    "Each entry of `registration_runs`:": status_records.RegistrationRuns,
    "Each entry of `transitions`:": status_records.TransitionStatus,
    "`start`, see [the start report](states.md#the-start-report):": status_records.StartStatus,
    "Each entry of `steps` in `start`:": status_records.StepStatus,
    "`maintenance`, while every app service is offline:": status_records.MaintenanceStatus,
    "`drain`, after a drain has started:": status_records.DrainStatus,
    "Each entry of `workers`:": status_records.WorkerStatus,
    "Each entry of `plugins`:": status_records.PluginStatus,
}
"""How the documentation introduces each record of `/status`."""


def status_fields() -> str:
    """Document what `/status` shows from the records that it is made of."""
    return _records(RECORDS)


def in_flight_fields() -> str:
    """Document what `/inflight` shows."""
    return _records(
        {
            "Everything together:": status_records.InFlight,
            "Each entry of `entries`:": status_records.InFlightEntry,
            "Each entry of `threads`:": status_records.ThreadStack,
        }
    )


def _records(records: dict[str, Any]) -> str:
    return "\n".join(f"{head}\n\n{_fields(record)}" for head, record in records.items())


def _fields(record: type) -> str:
    told = re.findall(
        r"^    (\w+): (.*(?:\n     .*)*)$", inspect.cleandoc(record.__doc__ or ""), re.MULTILINE
    )
    rows = [(f"`{name}`", " ".join(words.split())) for name, words in told]
    if [name for name, _ in told] != list(record.__annotations__):
        raise SystemExit(f"the docstring of {record.__name__} does not name its fields in order")
    return table("field | holds", rows)
