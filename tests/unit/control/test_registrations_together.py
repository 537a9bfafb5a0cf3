"""Several services and registries: when the table says that all are in, or out, and to whom."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from lifecycle.contracts import Instance
from lifecycle.control.services import OPERATOR, Services
from tests.unit.control.registries import Act, Scripted, after, hang, row, table
from tests.unit.virtual_time import instance, now, run


@pytest.mark.parametrize("slow", [0, 1])
def test_two_registries_of_one_service(slow: int) -> None:
    """It is confirmed when the last one has answered, out when the last one has, asked meanwhile."""

    async def main() -> None:
        registries = [Scripted("a"), Scripted("b")]
        registries[slow].on_register = registries[slow].on_deregister = after(3)
        services = table(*registries)
        entry = services.entries["orders"]
        assert not services.asking  # nobody has been asked yet
        await asyncio.sleep(2)
        assert services.asking
        assert not entry.confirmed
        assert not services.serving
        await asyncio.sleep(2)
        assert entry.confirmed
        assert not services.asking
        assert services.serving.first(9) == [entry]
        services.withdraw()
        await asyncio.sleep(2)
        assert not entry.out
        await asyncio.sleep(2)
        assert entry.out
        await services.close(1)

    run(main())


@pytest.mark.parametrize("slow", ["orders", "billing"])
def test_two_services_in_one_registry(slow: str) -> None:
    """All are confirmed when the last one is, and all are out when the last one is."""

    async def main() -> None:
        registry = Scripted()
        good = registry._one

        async def one(what: str, each: Instance, act: Act) -> Any:
            late = each.service == slow and what != "keep"
            return await good(what, each, after(3) if late else act)

        registry._one = one  # type: ignore[method-assign]
        services = table(registry, names=("orders", "billing"))
        await asyncio.sleep(2)
        assert not services.all_confirmed
        assert services.asking
        assert len(services.serving) == 1
        await asyncio.sleep(2)
        assert services.all_confirmed
        assert not services.asking
        assert len(services.serving) == 2
        services.withdraw()
        await asyncio.sleep(2)
        assert not services.all_out
        await asyncio.sleep(2)
        assert services.all_out
        await services.close(1)

    run(main())


def test_who_waits_for_one_service_looks_when_that_one_changes() -> None:
    """Not whenever any does, and no trace of him is left when he has what he waits for."""

    async def main() -> None:
        registry = Scripted()
        services = table(registry, names=("orders", "billing"))
        await services.until(lambda: services.all_confirmed)
        looked = []
        entry = services.entries["orders"]

        def out() -> bool:
            looked.append(now())
            return entry.out

        waiting = asyncio.create_task(services.until(out, entry))
        anybody = asyncio.create_task(services.until(lambda: entry.out))
        for _ in range(10):
            await asyncio.sleep(1)
            services.hold(["billing"], OPERATOR)
            await asyncio.sleep(1)
            services.release(["billing"], OPERATOR)
        assert len(looked) == 1
        services.hold(["orders"], OPERATOR)
        await waiting
        await anybody
        assert entry.waiters == services._waiters == set()
        await services.close(1)

    run(main())


@pytest.mark.parametrize(("required", "asking"), [(True, True), (False, False)])
def test_asking_is_of_required_registries(required: bool, asking: bool) -> None:
    """An optional registry that does not answer holds up no probe."""

    async def main() -> None:
        registry = Scripted(required=required)
        registry.on_register = hang
        services = table(registry)
        await asyncio.sleep(1)
        assert services.asking is asking
        await asyncio.sleep(9.05)  # given up, and not asked again yet
        assert not services.asking
        assert row(services).error == "no answer for 10 s"
        await services.close(1)

    run(main())


def test_asking_ends_with_the_wish() -> None:
    """What is cancelled while it registers is no longer asked for."""

    async def main() -> None:
        registry = Scripted()
        registry.on_register = hang
        services = table(registry)
        await asyncio.sleep(1)
        services.hold(["orders"], OPERATOR)
        await services.until(lambda: services.all_out)
        assert not services.asking
        await services.close(1)

    run(main())


def test_a_table_that_grows_under_its_reader() -> None:
    """Any thread may ask what is online and confirmed while registries and services are added."""
    over = threading.Event()
    problems: list[BaseException] = []

    def reading(services: Services, read: Callable[[Services], object]) -> None:
        try:
            while not over.is_set():
                read(services)
        except BaseException as error:  # noqa: BLE001 - what a reader sees is what is tested
            problems.append(error)

    async def main() -> None:
        services = table(Scripted("first"))
        reads: list[Callable[[Services], object]] = [
            lambda services: [e.confirmed for e in list(services.entries.values())],
            lambda services: [e.out and e.online for e in list(services.entries.values())],
            lambda services: (services.all_confirmed, services.all_out, services.asking),
            lambda services: services.entries["orders"].refusal(),
        ]
        threads = [threading.Thread(target=reading, args=(services, read)) for read in reads]
        for thread in threads:
            thread.start()
        try:
            for number in range(300):
                services.add_registries([Scripted(f"r{number}")])
                if number % 30 == 0:
                    services.export(instance(f"s{number}"))
        finally:
            over.set()
            for thread in threads:
                thread.join(10)
        await services.close(1)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        run(main())
    finally:
        sys.setswitchinterval(before)
    assert problems == []
