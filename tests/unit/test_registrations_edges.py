"""What a table of registrations does at its edges: a refusal lifted, strangers' errors, readers."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from lifecycle.cells import Actual
from lifecycle.contracts import Instance
from lifecycle.exceptions import RegistrationRefused
from lifecycle.log import Log
from lifecycle.services import OPERATOR, Services
from tests.unit.registries import Act, Scripted, after, failing, fine, hang, row, table
from tests.unit.virtual_time import Diary, instance, now, run

REFUSAL = failing(RegistrationRefused("no such namespace"))


class Unprintable(Exception):
    """Cannot be shown."""

    def __str__(self) -> str:
        raise SystemExit("no")


def test_offline_and_online_after_a_refusal() -> None:
    """Who releases a service that was refused asks for it again, and the refusal is gone."""

    async def main() -> None:
        registry = Scripted()
        registry.on_register = REFUSAL
        services = table(registry, names=("orders", "billing"))
        await services.until(lambda: services.refusal() is not None)
        await asyncio.sleep(1)
        registry.on_register = fine
        services.hold(["orders"], OPERATOR)
        assert services.entries["orders"].refusal() is None
        assert services.refusal() is services.entries["billing"].refusal()
        services.release(["orders"], OPERATOR)
        entry = services.entries["orders"]
        await services.until(lambda: entry.confirmed, entry)
        assert registry.there == {"orders"}
        assert registry.asked.count("register") == 3
        services.hold(["billing"], OPERATOR)
        assert services.refusal() is None
        await services.close(1)

    run(main())


def test_a_failure_is_logged_once() -> None:
    """A registry that is away for an hour costs one line, and one more when it is back."""

    async def main() -> None:
        diary, registry = Diary(), Scripted()
        registry.on_register = failing(OSError("away"))
        services = Services(register_timeout=10, log=diary.log)
        services.add_registries([registry])
        services.export(instance())
        services.register()
        await asyncio.sleep(3600)
        registry.on_register = failing(OSError("no route"))
        await asyncio.sleep(60)
        registry.on_register = fine
        await services.until(lambda: services.all_confirmed)
        lines = [(line["registered"], line.get("reason")) for line in diary.of("registration")]
        assert lines == [
            ("unknown", "OSError: away"),
            ("unknown", "OSError: no route"),
            ("yes", None),
        ]
        await services.close(1)

    run(main())


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (TimeoutError("three tries, 503 each"), "TimeoutError: three tries, 503 each"),
        (TimeoutError(), "no answer for 10 s"),
        (Unprintable(), "Unprintable: (its message cannot be shown)"),
    ],
)
@pytest.mark.parametrize("where", ["on_register", "on_deregister", "on_keep"])
def test_an_error_keeps_its_words(where: str, error: Exception, shown: str) -> None:
    """A client's own timeout says what it says; only one without words is told in ours."""

    async def main() -> None:
        registry = Scripted()
        services = table(registry)
        if where == "on_deregister":
            await services.until(lambda: services.all_confirmed)
            registry.on_deregister = failing(error)
            services.withdraw()
        else:
            setattr(registry, where, failing(error))
        await asyncio.sleep(1)
        wanted = "TimeoutError: " if (where, str(shown)[:9]) == ("on_keep", "no answer") else shown
        assert row(services).error == wanted
        assert row(services).actual is Actual.UNKNOWN
        await services.close(1)

    run(main())


@pytest.mark.parametrize("reason", ["", None, 7, object()])
def test_a_registration_that_is_lost_without_a_reason(reason: Any) -> None:
    """It is lost all the same, and that is what is said."""

    async def main() -> None:
        registry = Scripted()

        async def lost() -> Any:
            return reason

        registry.on_keep = lost
        services = table(registry)
        await asyncio.sleep(0.05)
        assert (row(services).actual, row(services).error) == (Actual.NO, "lost")
        await services.close(1)

    run(main())


def test_a_registration_that_is_lost_for_a_reason() -> None:
    """The registry's own words are shown, and logged as a warning; that it is back is none."""

    async def main() -> None:
        lines: list[tuple[int, dict[str, Any]]] = []
        log = Log(lambda entry: lines.append((entry.level, entry.fields)))
        registry = Scripted("consul")

        async def expire() -> str:
            return "the session has expired" if len(lines) < 2 else await hang()

        registry.on_keep = expire
        services = Services(register_timeout=10, log=log)
        services.add_registries([registry])
        services.export(instance())
        services.register()
        await asyncio.sleep(0.05)
        cell = services.entries["orders"].cells["consul"]
        assert (cell.actual, cell.error) == (Actual.NO, "the session has expired")
        log.flush(5)
        await asyncio.sleep(30)
        assert cell.confirmed
        log.flush(5)
        told = {"service": "orders", "registry": "consul"}
        lost = told | {"registered": "no", "reason": "the session has expired"}
        yes = told | {"registered": "yes"}
        assert lines[:3] == [(logging.INFO, yes), (logging.WARNING, lost), (logging.INFO, yes)]
        await services.close(1)
        log.close(1)

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


@pytest.mark.parametrize(
    "error",
    [
        OSError("no"),
        SystemExit(1),
        KeyboardInterrupt(),
        asyncio.CancelledError(),
        GeneratorExit(),
        Unprintable(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_description_that_fails(error: BaseException) -> None:
    """Whatever it raises, its registration says so, and nobody else notices."""

    async def main() -> None:
        registry = Scripted()

        def describe(_: object) -> dict[str, object]:
            raise error

        registry.describe = describe  # type: ignore[method-assign]
        services = table(registry)
        (shown,) = services.snapshot()
        said = "(its message cannot be shown)" if isinstance(error, Unprintable) else str(error)
        problem = shown["registrations"]["reg"]["problem"]
        assert problem == f"describe raised {type(error).__name__}: {said}"
        await services.close(1)

    run(main())


LOOP: list[object] = []
LOOP.append(LOOP)


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ({3: "three", b"k": b"v"}, {"3": "three", "b'k'": "b'v'"}),
        ({"at": datetime(2030, 1, 2, tzinfo=UTC)}, {"at": "2030-01-02 00:00:00+00:00"}),
        ({"text": "\ud800", "all": (1, {"a": None})}, {"text": "\ud800", "all": [1, {"a": None}]}),
        ([("pairs", 1)], {"pairs": 1}),
        ({Unprintable(): 1}, None),
        ({"x": Unprintable()}, None),
        ({"x": {b"k": 1}}, None),
        ({"x": math.nan}, None),
        ({"x": LOOP}, None),
    ],
)
def test_a_description_of_anything(told: Any, shown: dict[str, object] | None) -> None:
    """It is JSON by the time that it is shown: nothing in it takes `/status` from everybody."""

    async def main() -> None:
        registry, other = Scripted(), Scripted("other")
        registry.describe = lambda _: told  # type: ignore[method-assign]
        services = table(registry, other)
        whole = services.snapshot()
        assert json.loads(json.dumps(whole, allow_nan=False)) == whole
        said = whole[0]["registrations"]["reg"]
        if shown is None:
            assert said["problem"].startswith("describe returned what JSON cannot hold: ")
        else:
            assert {name: said[name] for name in shown} == shown
        assert "problem" not in whole[0]["registrations"]["other"]
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
