"""Services and their registrations, in registries that do what real ones do on bad days."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from lifecycle.contracts import Instance, Registry
from lifecycle.exceptions import RegistrationRefused, ServiceNotFound
from lifecycle.services import APP, OPERATOR, Actual, Services
from tests.unit.virtual_time import Diary, instance, now, run, until

Act = Callable[[], Awaitable[Any]]


async def fine() -> str:
    """Do it at once."""
    return ""


async def hang() -> str:
    """Do it never."""
    await asyncio.get_running_loop().create_future()
    return ""


def failing(error: BaseException) -> Act:
    """Raise."""

    async def act() -> None:
        raise error

    return act


def after(seconds: float, act: Act = fine) -> Act:
    """Do it later."""

    async def later() -> Any:
        await asyncio.sleep(seconds)
        return await act()

    return later


class Scripted(Registry):
    """A registry that does what it is told, and notes what it was asked."""

    def __init__(self, name: str = "reg", *, required: bool = True) -> None:
        self.name = name
        self.required = required
        self.asked: list[str] = []
        self.there: set[str] = set()
        self.busy: dict[str, int] = {}
        self.overlapped = False
        self.on_register: Act = fine
        self.on_deregister: Act = fine
        self.on_keep: Act = hang
        self.on_close: Act = fine
        self.closed_at = 0.0

    async def _one(self, what: str, each: Instance, act: Act) -> Any:
        self.asked.append(what)
        self.overlapped |= bool(self.busy.get(each.service))
        self.busy[each.service] = self.busy.get(each.service, 0) + 1
        try:
            return await act()
        finally:
            self.busy[each.service] -= 1

    async def register(self, instance: Instance) -> None:
        """Register, unless told otherwise."""
        await self._one("register", instance, self.on_register)
        self.there.add(instance.service)

    async def deregister(self, instance: Instance) -> None:
        """Deregister, unless told otherwise."""
        await self._one("deregister", instance, self.on_deregister)
        self.there.discard(instance.service)

    async def keep(self, instance: Instance) -> str:
        """Keep, for ever unless told otherwise."""
        reason: str = await self._one("keep", instance, self.on_keep)
        self.there.discard(instance.service)
        return reason

    async def __aexit__(self, *_: object) -> None:
        await self.on_close()
        self.closed_at = now()


def table(*registries: Registry, names: tuple[str, ...] = ("orders",)) -> Services:
    """Make a table of services in registries, wanted from the start."""
    services = Services(register_timeout=10, log=Diary().log)
    services.add_registries(registries)
    for name in names:
        services.export(instance(name))
    services.register()
    return services


def row(services: Services, name: str = "orders", registry: str = "reg") -> Any:
    """Return the cell."""
    return services.entries[name].cells[registry]


def test_registered_is_acknowledged() -> None:
    """A service is confirmed when the registry has answered, and not before."""

    async def main() -> None:
        registry = Scripted()
        registry.on_register = after(3)
        services = table(registry)
        await asyncio.sleep(2.9)
        assert (services.all_confirmed, services.any_serving) == (False, False)
        assert row(services).actual is Actual.UNKNOWN
        await asyncio.sleep(0.2)
        assert (services.all_confirmed, services.any_serving) == (True, True)
        assert row(services).actual is Actual.YES
        await services.close(1)

    run(main())


def test_nothing_is_registered_before_it_is_wanted() -> None:
    """An exported service waits for `register`."""

    async def main() -> None:
        registry = Scripted()
        services = Services(register_timeout=10, log=Diary().log)
        services.add_registries([registry])
        services.export(instance())
        await asyncio.sleep(10)
        assert registry.asked == []
        services.register()
        await services.until(lambda: services.all_confirmed)
        assert registry.asked[0] == "register"
        await services.close(1)

    run(main())


def test_refused_for_good() -> None:
    """A refusal is not tried again, and is what `ready` will raise."""

    async def main() -> None:
        registry = Scripted()
        registry.on_register = failing(RegistrationRefused("no such namespace"))
        services = table(registry)
        await services.until(lambda: services.refusal() is not None)
        await asyncio.sleep(1000)
        assert registry.asked == ["register"]
        assert str(services.refusal()) == "no such namespace"
        assert row(services).error == "refused: no such namespace"
        assert services.all_out
        await services.close(1)

    run(main())


def test_refused_on_a_later_try() -> None:
    """The same if the refusal comes after the registry had been unreachable."""

    async def main() -> None:
        registry = Scripted()
        registry.on_register = failing(OSError("away"))
        services = table(registry)
        await asyncio.sleep(5)
        registry.on_register = failing(RegistrationRefused("no"))
        await services.until(lambda: services.refusal() is not None)
        count = len(registry.asked)
        await asyncio.sleep(1000)
        assert len(registry.asked) == count
        await services.close(1)

    run(main())


def test_unreachable_is_tried_for_ever_with_backoff() -> None:
    """A registry that is away is tried again, ever more rarely, for as long as it takes."""

    async def main() -> None:
        registry = Scripted()
        registry.on_register = failing(OSError("connection refused"))
        services = table(registry)
        await asyncio.sleep(3600)
        assert 3600 / 16 - 5 < len(registry.asked) < 3600 / 14 + 10
        assert row(services).error == "OSError: connection refused"
        registry.on_register = fine
        await asyncio.sleep(16)
        assert services.all_confirmed
        await services.close(1)

    run(main())


def test_no_answer_in_time() -> None:
    """An operation that hangs is given up after `register_timeout`, said so, and tried again."""

    async def main() -> None:
        registry = Scripted()
        registry.on_register = hang
        services = table(registry)
        await asyncio.sleep(10.5)
        assert row(services).error == "no answer for 10 s"
        registry.on_register = fine
        await asyncio.sleep(10.5)
        assert services.all_confirmed
        await services.close(1)

    run(main())


def test_lost_and_registered_again() -> None:
    """A registration that the registry has dropped is a confirmed no, and is made again."""

    async def main() -> None:
        registry = Scripted()
        registry.on_register, registry.on_keep = after(1), after(60)
        services = table(registry)
        verdicts = []
        for _ in range(650):
            await asyncio.sleep(0.1)
            verdicts.append(services.any_serving)
        assert registry.asked[:3] == ["register", "keep", "register"]
        changes = [v for before, v in zip([None, *verdicts], verdicts, strict=False) if v != before]
        assert changes == [False, True, False, True]
        await services.close(1)

    run(main())


def test_losing_everything_at_once_is_no_tight_circle() -> None:
    """A registry that forgets immediately is asked ten times a second at most."""

    async def main() -> None:
        registry = Scripted()
        registry.on_keep = fine
        services = table(registry)
        await asyncio.sleep(60)
        assert 100 < len(registry.asked) <= 2 * 10 * 60 + 2
        await services.close(1)

    run(main())


def test_an_outage_takes_nobody_out() -> None:
    """Not knowing changes no verdict: who was confirmed stays so while the registry is away."""

    async def main() -> None:
        registry = Scripted()
        services = table(registry)
        await services.until(lambda: services.all_confirmed)
        registry.on_keep = registry.on_register = failing(OSError("away"))
        cell = row(services)
        cell._step.cancel()  # the connection breaks: the heartbeat under way ends
        for _ in range(1000):
            await asyncio.sleep(1)
            assert services.any_serving
            assert cell.actual is not Actual.NO
        registry.on_register, registry.on_keep = fine, hang
        await services.until(lambda: cell.actual is Actual.YES)
        await services.close(1)

    run(main())


@pytest.mark.parametrize("error", [asyncio.CancelledError(), SystemExit(1), KeyboardInterrupt()])
@pytest.mark.parametrize("where", ["on_register", "on_keep", "on_deregister"])
def test_a_client_that_breaks_off(where: str, error: BaseException) -> None:
    """A client library that cancels its caller, or wants to exit, is tried again like any other."""

    async def main() -> None:
        registry = Scripted()
        good = getattr(registry, where)
        setattr(registry, where, failing(error))
        services = table(registry)
        await asyncio.sleep(5)
        services.withdraw() if where == "on_deregister" else None
        await asyncio.sleep(5)
        assert len(registry.asked) < 250
        setattr(registry, where, good)
        if where == "on_deregister":
            await services.until(lambda: services.all_out)
        else:
            await services.until(lambda: row(services).actual is Actual.YES)
        await services.close(1)

    run(main())


def test_offline_and_online() -> None:
    """Who holds a service offline takes it out of every registry; the release brings it back."""

    async def main() -> None:
        registry = Scripted()
        services = table(registry, names=("orders", "billing"))
        await services.until(lambda: services.all_confirmed)
        services.hold(["orders"], OPERATOR, "maintenance")
        await services.until(lambda: services.entries["orders"].out)
        assert registry.there == {"billing"}
        assert services.any_serving
        services.hold(["billing"], APP, "")
        await services.until(lambda: services.all_out)
        assert not services.any_serving
        services.release(["orders", "billing"], OPERATOR)
        await services.until(lambda: services.entries["orders"].confirmed)
        assert registry.there == {"orders"}
        assert not services.entries["billing"].online
        services.release(["billing"], APP)
        await services.until(lambda: services.all_confirmed)
        assert registry.there == {"orders", "billing"}
        await services.close(1)

    run(main())


def test_two_who_hold() -> None:
    """The operator and the app each hold and release their own."""

    async def main() -> None:
        services = table(Scripted())
        entry = services.entries["orders"]
        services.hold(["orders"], OPERATOR, "rollout")
        services.hold(["orders"], APP, "warming")
        assert entry.held_by == {"operator": "rollout", "app": "warming"}
        services.release(["orders"], OPERATOR)
        services.release(["orders"], OPERATOR)
        assert not entry.online
        services.release(["orders"], APP)
        assert entry.online
        await services.close(1)

    run(main())


def test_offline_while_registering() -> None:
    """A registration under way is cancelled, and what may have come of it is taken out."""

    async def main() -> None:
        registry = Scripted()
        registry.on_register = hang
        services = table(registry)
        await asyncio.sleep(1)
        began = now()
        services.hold(["orders"], OPERATOR)
        await services.until(lambda: services.all_out)
        assert registry.asked == ["register", "deregister"]
        assert now() - began < 0.1
        assert not registry.overlapped
        await services.close(1)

    run(main())


def test_changing_ones_mind_in_one_step() -> None:
    """Offline and online at once leaves a registered service registered."""

    async def main() -> None:
        registry = Scripted()
        services = table(registry)
        await services.until(lambda: services.all_confirmed)
        await asyncio.sleep(1)
        for _ in range(10):
            services.hold(["orders"], OPERATOR)
            services.release(["orders"], OPERATOR)
        await asyncio.sleep(1)
        assert "deregister" not in registry.asked
        assert services.all_confirmed
        await services.close(1)

    run(main())


@pytest.mark.parametrize("act", [fine, hang, failing(OSError("away"))])
def test_withdrawing_at_any_moment(act: Act) -> None:
    """From `withdraw` on everything is taken out, whatever the registration was about."""

    async def main() -> None:
        registry = Scripted()
        registry.on_register = act
        services = table(registry)
        await asyncio.sleep(0.05)
        services.withdraw()
        await services.until(lambda: services.all_out)
        assert registry.there == set()
        assert registry.asked[-1] in ("deregister", "register")
        count = len(registry.asked)
        await asyncio.sleep(1000)
        assert len(registry.asked) == count
        await services.close(1)

    run(main())


def test_withdrawing_before_the_first_step() -> None:
    """What was never begun need not be taken out."""

    async def main() -> None:
        registry = Scripted()
        services = table(registry)
        services.withdraw()
        assert services.all_out
        await asyncio.sleep(10)
        assert registry.there == set()
        await services.close(1)

    run(main())


def test_a_registry_that_swallows_a_cancellation() -> None:
    """A client that eats its cancellation is cancelled again, and then taken out."""

    async def main() -> None:
        registry = Scripted()

        async def stubborn() -> None:
            for _ in range(3):
                try:
                    await asyncio.sleep(1000)
                except asyncio.CancelledError:
                    continue

        registry.on_register = stubborn
        services = table(registry)
        await asyncio.sleep(1)
        services.withdraw()
        await services.until(lambda: services.all_out)
        assert registry.asked[-1] == "deregister"
        assert registry.there == set()
        assert not registry.overlapped
        await services.close(1)

    run(main())


def test_deregistration_side_by_side() -> None:
    """One registry that hangs holds up no other one."""

    async def main() -> None:
        slow, quick = Scripted("slow"), Scripted("quick")
        slow.on_deregister = hang
        services = table(slow, quick, names=("a", "b", "c"))
        await services.until(lambda: services.all_confirmed)
        services.withdraw()
        await until(lambda: not quick.there, within=0.1)
        assert not services.all_out
        await asyncio.sleep(30)
        assert row(services, "a", "slow").error == "no answer for 10 s"
        await services.close(1)

    run(main())


def test_an_optional_registry_is_not_waited_for() -> None:
    """A registry that is not required counts neither for REGISTERED nor for a refusal."""

    async def main() -> None:
        must, may = Scripted("must"), Scripted("may", required=False)
        may.on_register = failing(RegistrationRefused("no"))
        services = table(must, may)
        await services.until(lambda: services.all_confirmed)
        await asyncio.sleep(1)
        assert services.refusal() is None
        assert services.any_serving
        await services.close(1)

    run(main())


def test_what_is_offline_is_not_waited_for() -> None:
    """REGISTERED needs everything that is online."""

    async def main() -> None:
        registry = Scripted()
        registry.on_register = hang
        services = table(registry)
        services.hold(["orders"], OPERATOR)
        assert services.all_confirmed
        assert not services.any_serving
        await services.close(1)

    run(main())


def test_a_registry_that_comes_later() -> None:
    """A registry that is added registers what is exported already."""

    async def main() -> None:
        services = table()
        assert services.all_confirmed
        registry = Scripted()
        services.add_registries([registry])
        assert not services.all_confirmed
        await services.until(lambda: services.all_confirmed)
        assert registry.there == {"orders"}
        await services.close(1)

    run(main())


def test_the_same_name_twice() -> None:
    """Exporting a name again gives the service there is."""

    async def main() -> None:
        services = table(Scripted())
        assert services.export(instance("orders", 9)) is services.entries["orders"]
        assert len(services.entries) == 1
        await services.close(1)

    run(main())


@pytest.mark.parametrize(
    ("glob", "names"),
    [
        ("*", ["orders", "orders-v2", "billing"]),
        ("orders", ["orders"]),
        ("orders*", ["orders", "orders-v2"]),
        ("?illing", ["billing"]),
        ("[ab]*", ["billing"]),
    ],
)
def test_globs(glob: str, names: list[str]) -> None:
    """A glob is matched case by case, in the order of export."""

    async def main() -> None:
        services = table(names=("orders", "orders-v2", "billing"))
        assert services.matching(glob) == names
        await services.close(1)

    run(main())


def test_a_glob_that_matches_nothing() -> None:
    """It is an error that lists what there is."""

    async def main() -> None:
        services = table(names=("orders", "billing"))
        for glob in ("Orders", "", "x*"):
            with pytest.raises(ServiceNotFound, match=r"\(there is: orders, billing\)"):
                services.matching(glob)
        with pytest.raises(ServiceNotFound, match="none exported"):
            table(names=()).matching("*")
        await services.close(1)

    run(main())


@pytest.mark.parametrize("act", [hang, failing(OSError("no")), failing(SystemExit(1))])
def test_registries_are_closed_in_reverse(act: Act) -> None:
    """One that hangs or fails while it is closed keeps no other from being closed."""

    async def main() -> None:
        registries = [Scripted("a"), Scripted("b"), Scripted("c")]
        registries[1].on_close = act
        services = table(*registries)
        await services.until(lambda: services.all_confirmed)
        began = now()
        await services.close(0.5)
        assert now() - began <= 0.5
        assert registries[0].closed_at >= registries[2].closed_at >= began

    run(main())
