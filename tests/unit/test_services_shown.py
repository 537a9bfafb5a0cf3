"""What the table of services shows, and what it says when nothing matches."""

from __future__ import annotations

import asyncio

import pytest

from lifecycle.exceptions import ServiceNotFound
from lifecycle.services import OPERATOR
from tests.unit.registries import Scripted, after, failing, fine, table
from tests.unit.virtual_time import instance, run, until


def shown(*, online: bool, held_by: dict[str, str], registered: str, reason: str) -> object:
    """Return what `/status` is to show of the one service."""
    return [
        {
            "name": "orders",
            "port": 8080,
            "online": online,
            "held_by": held_by,
            "registrations": {
                "reg": {"registered": registered, "required": True, "reason": reason}
            },
        }
    ]


def test_what_the_table_shows() -> None:
    """Of a service that is registered, held offline, and cannot be registered again."""

    async def main() -> None:
        registry = Scripted()
        services = table(registry)
        registry.on_register = after(1)
        assert services.snapshot() == shown(online=True, held_by={}, registered="no", reason="")
        await asyncio.sleep(0.5)
        assert services.asking
        assert services.snapshot() == shown(
            online=True, held_by={}, registered="unknown", reason=""
        )
        await services.until(lambda: services.all_confirmed)
        assert services.snapshot() == shown(online=True, held_by={}, registered="yes", reason="")
        services.hold(["orders"], OPERATOR)
        await services.until(lambda: services.all_out)
        assert services.snapshot() == shown(
            online=False, held_by={OPERATOR: ""}, registered="no", reason=""
        )
        services.hold(["orders"], "app", "warming up")
        registry.on_register = failing(ConnectionError("away"))
        services.release(["orders"], OPERATOR)
        assert services.snapshot() == shown(
            online=False, held_by={"app": "warming up"}, registered="no", reason=""
        )
        services.release(["orders"], "app")
        await until(lambda: len(registry.asked) > 5)
        assert services.snapshot() == shown(
            online=True, held_by={}, registered="unknown", reason="ConnectionError: away"
        )
        registry.on_register = fine
        services.withdraw()
        await services.until(lambda: services.all_out)
        await services.close(1)

    run(main())


def test_nothing_is_exported() -> None:
    """The error says so."""

    async def main() -> None:
        services = table(names=())
        with pytest.raises(ServiceNotFound) as raised:
            services.matching("*")
        assert str(raised.value) == "no service matches '*' (there is: none exported)"
        services.export(instance("orders"))
        with pytest.raises(ServiceNotFound) as raised:
            services.matching("bill*")
        assert str(raised.value) == "no service matches 'bill*' (there is: orders)"

    run(main())
