"""n services cost n: what one change costs, counted in steps of the interpreter, is the same in any table."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest

from lifecycle.config import Config
from lifecycle.contracts import Kind
from lifecycle.control.services import OPERATOR
from lifecycle.drain.exit_code import Ending
from lifecycle.drain.kernel_sockets import accept_queue
from lifecycle.drain.socket_messages import TcpSocket
from lifecycle.exceptions import RegistrationRefused
from tests.unit.control.registries import Forgetful, Scripted, failing, table
from tests.unit.virtual_time import Stage, instance, run

SMALL, LARGE = 20, 400
A_FEW = 1.1
"""How much more the large table may cost: a name of three digits is longer than one of two."""


class Steps:
    """How many instructions of the package's own code were executed."""

    count = 0


@contextmanager
def counted() -> Iterator[Steps]:
    """Count the instructions that are executed in `lifecycle`, in this thread."""
    steps = Steps()

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        if "/lifecycle/" not in frame.f_code.co_filename:
            return None
        frame.f_trace_opcodes = True
        steps.count += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield steps
    finally:
        sys.settrace(before)


class Full:
    """An app that is READY with many services in two registries."""

    def __init__(self, size: int) -> None:
        self.registry = Forgetful()
        self.registry.settle = 3.0
        self.stage = Stage(Config())
        self.services = self.stage.conductor.services
        self.size = size

    async def open(self) -> Full:
        """Export, and become ready."""
        await self.stage.open()
        self.services.add_registries([self.registry])
        for number in range(self.size):
            self.stage.conductor.export(instance(f"s{number}"))
        self.stage.conductor.make_ready()
        await self.stage.conductor.transitions.became_ready.wait()
        return self

    async def close(self) -> None:
        """Leave."""
        self.stage.departure.begin("test")
        self.stage.departure.main_ended(Ending(), "test")
        await self.stage.close()

    # What one change, or one question, is

    async def export(self) -> None:
        """One more service."""
        self.stage.conductor.export(instance("one-more"))
        await asyncio.sleep(0.1)

    async def offline(self) -> None:
        """One service is held offline, and taken out."""
        entry = self.services.entries["s7"]
        self.services.hold(["s7"], OPERATOR)
        await self.services.until(lambda: entry.out, entry)

    async def online(self) -> None:
        """One service is released, and registered again."""
        entry = self.services.entries["s7"]
        self.services.release(["s7"], OPERATOR)
        await self.services.until(lambda: entry.confirmed, entry)

    async def lost(self) -> None:
        """One registration is lost, while each service has somebody who waits for it."""
        entries = list(self.services.entries.values())
        waiting = [
            asyncio.create_task(self.services.until(lambda e=entry: e.out, entry))  # type: ignore[misc]
            for entry in entries
        ]
        await asyncio.sleep(0.1)
        try:
            with counted() as self.steps:
                entries[7].registrations["reg"]._step.cancel()  # type: ignore[union-attr]
                await asyncio.sleep(0.05)
        finally:
            for each in waiting:
                each.cancel()
            await asyncio.wait(waiting)

    async def ready(self) -> None:
        """The kubelet asks whether the app is ready."""
        probes = self.stage.conductor.probes
        assert (await probes.verdict(Kind.READINESS, self.stage.life, only="services")).ok

    async def asked(self) -> None:
        """Everything is asked that there is to ask of the whole table."""
        services = self.services
        assert services.all_confirmed
        assert not services.all_out
        assert not services.asking
        assert services.refusal() is None
        assert not services.all_forgotten
        assert services.settle == (5.0, "")

    async def looked_up(self) -> None:
        """The app looks one of its services up."""
        assert self.stage.life.services["s7"].confirmed
        assert len(self.stage.life.services) >= self.size


async def cost(size: int, *acts: str) -> list[int]:
    """Return what each of some acts costs in a table of a size."""
    full = await Full(size).open()
    costs = []
    for act in acts:
        with counted() as steps:
            full.steps = steps
            await getattr(full, act)()
        costs.append(full.steps.count)
    await full.close()
    return costs


@pytest.mark.parametrize(
    "acts",
    [["export"], ["offline", "online"], ["lost"], ["ready"], ["asked"], ["looked_up"]],
    ids=lambda acts: acts[0],
)
def test_a_change_costs_the_same_in_any_table(acts: list[str]) -> None:
    """One change among 400 services takes the steps that it takes among 20."""
    small, large = (run(cost(size, *acts)) for size in (SMALL, LARGE))

    for few, many in zip(small, large, strict=True):
        assert 0 < many <= few * A_FEW, (small, large)


def test_the_kernel_is_asked_once_for_all_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    """A question costs more than a port in it. Without a port it is not asked."""
    asked: list[list[int]] = []

    def note(ports: Iterable[int], *_: object, **__: object) -> list[TcpSocket]:
        if found := list(ports):
            asked.append(found)
        return []

    async def main(ports: list[int | None]) -> None:
        stage = await Stage(Config()).open()
        for number, port in enumerate(ports):
            stage.conductor.export(instance(f"s{number}", port))
        accept_queue(*stage.conductor.services.ports())
        stage.departure.begin("test")
        stage.departure.main_ended(Ending(), "test")
        once = list(asked)
        await stage.close()
        asked[:] = once

    monkeypatch.setattr("lifecycle.drain.kernel_sockets.sockets_of", note)
    run(main([None]))
    assert asked == []
    run(main([*range(8000, 8050), None]))
    assert asked == [list(range(8000, 8050))]


async def forgetting(size: int) -> int:
    """Return what it costs to forget services, one after the other."""
    registry = Forgetful()
    services = table(registry, names=tuple(f"s{number}" for number in range(size)))
    await services.until(lambda: services.all_confirmed)
    services.withdraw()
    await services.until(lambda: services.all_out)
    with counted() as steps:
        services.forget()
        await services.until(lambda: services.all_forgotten)
    await services.close(1)
    return steps.count


def test_forgetting_n_services_costs_n() -> None:
    """Although the drain looks whether all is done after each of them."""
    small, large = run(forgetting(SMALL)), run(forgetting(LARGE))

    assert large / LARGE <= small / SMALL * A_FEW, (small, large)


async def registering(size: int, answer: Callable[[], Awaitable[Any]]) -> int:
    """Return what it costs to export services, one registration after the other coming in."""
    registry = Scripted()
    registry.on_register = answer
    names = tuple(f"s{number}" for number in range(size))
    with counted() as steps:
        services = table(registry, names=names)
        await services.until(lambda: services.all_confirmed or services.refusal() is not None)
    await services.close(1)
    return steps.count


@pytest.mark.parametrize("answer", ["one by one", "refused"])
def test_n_services_cost_n(answer: str) -> None:
    """Twenty times as many services cost twenty times as much, however their registry answers."""

    def answering() -> Callable[[], Awaitable[Any]]:
        number = iter(range(LARGE))

        async def one_by_one() -> None:
            await asyncio.sleep(next(number) / 100)

        return failing(RegistrationRefused("no")) if answer == "refused" else one_by_one

    small, large = (run(registering(size, answering())) for size in (SMALL, LARGE))

    assert large <= small * LARGE / SMALL * A_FEW


def test_withdrawing_costs_n() -> None:
    """Taking everything out costs as much as there is to take out."""

    async def main(size: int) -> int:
        services = table(Scripted(), names=tuple(f"s{number}" for number in range(size)))
        await services.until(lambda: services.all_confirmed)
        with counted() as steps:
            services.withdraw()
            await services.until(lambda: services.all_out)
        await services.close(1)
        return steps.count

    assert run(main(LARGE)) <= run(main(SMALL)) * LARGE / SMALL * A_FEW
