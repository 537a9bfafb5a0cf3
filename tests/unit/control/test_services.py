"""Services and their registrations, in registries that do what real ones do on bad days."""

from __future__ import annotations

import asyncio
import sys

import pytest

from lifecycle.control.services import APP, OPERATOR, Services, some
from lifecycle.control.those import Those
from lifecycle.exceptions import RegistrationRefused, ServiceNotFound
from tests.unit.control.registries import Act, Scripted, failing, fine, hang, row, table
from tests.unit.virtual_time import Diary, instance, now, run, until


def test_offline_and_online() -> None:
    """Who holds a service offline takes it out of every registry; the release brings it back."""

    async def main() -> None:
        registry = Scripted()
        services = table(registry, names=("orders", "billing"))
        await services.until(lambda: services.all_confirmed)
        services.hold(["orders"], OPERATOR, "maintenance")
        await services.until(lambda: services.entries["orders"].out)
        assert registry.there == {"billing"}
        services.hold(["billing"], APP, "")
        await services.until(lambda: services.all_out)
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
        assert not services.entries["orders"].confirmed
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
        known = services.entries["orders"]
        assert services.export(instance("orders", 9)) is services.entries["orders"] is known
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
            with pytest.raises(ServiceNotFound, match=r"\(services: orders, billing\)"):
                services.matching(glob)
        with pytest.raises(ServiceNotFound, match=r"\(services: none\)"):
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


@pytest.mark.parametrize(("name", "loaded"), [("consul", True), ("local", False)])
def test_what_a_failure_needs_is_loaded_before_one(
    monkeypatch: pytest.MonkeyPatch, *, name: str, loaded: bool
) -> None:
    """A deregistration that fails in a drain imports nothing: its registry's opening has."""
    monkeypatch.delitem(sys.modules, "tenacity", raising=False)

    async def main() -> None:
        services = Services(register_timeout=10, log=Diary().log)
        services.add_registries([Scripted(name)])
        assert ("tenacity" in sys.modules) is loaded
        await services.close(1)

    run(main())


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, ""),
        (1, "s0"),
        (5, "s0, s1, s2, s3, s4"),
        (6, "s0, s1, s2, s3, s4 and 1 more"),
        (5000, "s0, s1, s2, s3, s4 and 4,995 more"),
    ],
)
def test_a_list_of_many_names(count: int, shown: str) -> None:
    """A sentence lists a few, and says how many there are beside them."""
    assert some((f"s{number}" for number in range(count)), count) == shown


@pytest.mark.parametrize("most", [0, 1, 2, 3, 4])
def test_the_first_few_of_those_that_are_so(most: int) -> None:
    """In the order in which they became so, and no more of them than are asked for."""
    those: Those[str] = Those()
    for one in ("b", "x", "c", "a", "b"):
        those.note(one, so=True)
    those.note("x", so=False)
    assert those.first(most) == ["b", "c", "a"][:most]
    assert len(those) == 3
