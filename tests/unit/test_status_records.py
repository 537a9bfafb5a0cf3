"""What `/status` shows, compared with the records that document it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from lifecycle import status_records
from lifecycle.config import Config
from lifecycle.contracts import Kind
from lifecycle.runtime import Lifecycle, core_of


def keys_of(found: Iterable[Mapping[str, Any]]) -> list[list[str]]:
    """Return the keys of each, and that there is one at all."""
    keys = [list(each) for each in found]
    assert keys
    return keys


def test_every_part_has_the_fields_of_its_record_in_their_order() -> None:
    """Whoever reads `/status` finds what the documentation lists, and nothing else."""

    async def main() -> None:
        async with Lifecycle(Config(qos_enabled=False, settle=0, quiet=0)) as life:
            life.readiness(lambda: True)
            life.export("orders", port=8080)
            await life.ready()
            await core_of(life).control.request(
                lambda: (
                    core_of(life).running().probes.verdict(Kind.READINESS, life)
                )  # asks the probes
            )
            assert life.snapshot()["drain"] is None
            life.begin_drain("the test")
            await life.drained()
        whole = life.snapshot()
        assert list(whole) == list(status_records.Snapshot.__annotations__)
        registrations = [r for each in whole["services"] for r in each["registrations"].values()]
        assert whole["drain"] is not None
        for found, record in (
            (whole["services"], status_records.ServiceStatus),
            (registrations, status_records.RegistrationStatus),
            (whole["probes"], status_records.ProbeStatus),
            (whole["transitions"], status_records.TransitionStatus),
            ([whole["drain"]], status_records.DrainStatus),
            (whole["plugins"], status_records.PluginStatus),
            ([whole["start"]], status_records.StartStatus),
        ):
            fields = list(record.__annotations__)
            assert all(keys == fields for keys in keys_of(found)), record.__name__

        steps = whole["start"]["steps"]
        assert all(list(step) == ["name", "began", "seconds"] for step in steps)
        assert [step["name"] for step in steps][-1] == "main"
        assert whole["start"]["over"]

    asyncio.run(main())


def test_the_runs_of_probes_and_registrations_are_in_their_histograms() -> None:
    """One run of one probe, and one service in the registry of this process."""

    async def main() -> None:
        async with Lifecycle(Config(qos_enabled=False, settle=0, quiet=0)) as life:
            life.readiness(pool)
            life.export("orders", port=8080)
            await life.ready()
            assert life.snapshot()["probe_runs"] == []
            await core_of(life).control.request(
                lambda: core_of(life).running().probes.verdict(Kind.READINESS, life)
            )
            snapshot = life.snapshot()
        [probe] = snapshot["probe_runs"]
        [registry] = snapshot["registration_runs"]
        assert (probe["kind"], probe["plugin"], registry["registry"]) == (
            "readiness",
            "pool",
            "local",
        )
        for found in (probe, registry):
            assert len(found["counts"]) == len(found["bounds"]) + 1
            assert sum(found["counts"]) == 1
            assert found["seconds"] >= 0
        assert list(probe) == ["kind", "plugin", *status_records.Histogram.__annotations__]
        assert list(registry) == ["registry", *status_records.Histogram.__annotations__]

    def pool() -> bool:
        return True

    asyncio.run(main())
