"""What the table of services shows, and what it says when nothing matches."""

from __future__ import annotations

import asyncio
import json
import math
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from lifecycle.control.services import OPERATOR
from lifecycle.exceptions import ServiceNotFound
from tests.unit.control.registries import Scripted, Unprintable, after, failing, fine, table
from tests.unit.virtual_time import instance, run, until

SINCE = pytest.approx(time.time(), abs=600)


def registration(
    registered: str, reason: str = "", *, wanted: bool = True, required: bool = True, **more: object
) -> object:
    """Return what `/status` is to show of a registration."""
    return {
        "wanted": wanted,
        "registered": registered,
        "since": SINCE,
        "required": required,
        "reason": reason,
        "next_try": None,
        **more,
    }


def shown(
    *, online: bool, held_by: dict[str, str], registered: str, reason: str, **more: object
) -> object:
    """Return what `/status` is to show of the one service."""
    return [
        {
            "name": "orders",
            "port": 8080,
            "online": online,
            "held_by": held_by,
            "registrations": {"reg": registration(registered, reason, wanted=online, **more)},
        }
    ]


def test_what_the_table_shows() -> None:
    """Of a service that is registered, held offline, and cannot be registered again."""

    async def main() -> None:
        registry = Scripted()
        services = table(registry)
        registry.on_register = after(1)
        assert services.status() == shown(online=True, held_by={}, registered="no", reason="")
        await asyncio.sleep(0.5)
        assert services.asking
        assert services.status() == shown(online=True, held_by={}, registered="unknown", reason="")
        await services.until(lambda: services.all_confirmed)
        assert services.status() == shown(online=True, held_by={}, registered="yes", reason="")
        services.hold(["orders"], OPERATOR)
        await services.until(lambda: services.all_out)
        assert services.status() == shown(
            online=False, held_by={OPERATOR: ""}, registered="no", reason=""
        )
        services.hold(["orders"], "app", "warming up")
        registry.on_register = failing(ConnectionError("away"))
        services.release(["orders"], OPERATOR)
        assert services.status() == shown(
            online=False, held_by={"app": "warming up"}, registered="no", reason=""
        )
        services.release(["orders"], "app")
        await until(lambda: len(registry.asked) > 5)
        assert services.status() == shown(
            online=True,
            held_by={},
            registered="unknown",
            reason="ConnectionError: away",
            next_try=pytest.approx(0.4, abs=0.41),
        )
        registry.on_register = fine
        services.withdraw()
        await services.until(lambda: services.all_out)
        await services.close(1)

    run(main())


def test_what_is_shown_of_each_service() -> None:
    """`/status` has these fields of each service, and these of each registration."""

    async def main() -> None:
        must, may = Scripted("must"), Scripted("may", required=False)
        may.on_register = failing(OSError("away"))
        services = table(must, may)
        services.export(instance("portless", None))
        await services.until(lambda: services.all_confirmed)
        services.hold(["portless"], OPERATOR)
        await services.until(lambda: services.entries["portless"].out)
        pause = pytest.approx(0.1, abs=0.1)
        away = registration("unknown", "OSError: away", required=False, next_try=pause)
        assert services.status() == [
            {
                "name": "orders",
                "port": 8080,
                "online": True,
                "held_by": {},
                "registrations": {
                    "must": registration("yes"),
                    "may": away,
                },
            },
            {
                "name": "portless",
                "port": None,
                "online": False,
                "held_by": {"operator": ""},
                "registrations": {
                    "must": registration("no", wanted=False),
                    "may": registration("no", wanted=False, required=False),
                },
            },
        ]
        await services.close(1)

    run(main())


def test_what_a_registry_tells_of_a_registration() -> None:
    """It stands beside the core's own words, and takes none of them; one that fails says so."""

    async def main() -> None:
        registry, broken = Scripted("told"), Scripted("broken")
        asked = []

        def describe(each: object) -> dict[str, object]:
            asked.append(each)
            return {"visible": True, "registered": "never"}

        registry.describe = describe  # type: ignore[method-assign]
        broken.describe = failing  # type: ignore[assignment, method-assign]
        services = table(registry, broken)
        await services.until(lambda: services.all_confirmed)

        (shown,) = services.status()
        assert asked == [services.entries["orders"].instance]
        told = shown["registrations"]["told"]
        assert (told["visible"], told["registered"]) == (True, "yes")
        assert "describe raised TypeError" in shown["registrations"]["broken"]["problem"]
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
        (shown,) = services.status()
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
        whole = services.status()
        assert json.loads(json.dumps(whole, allow_nan=False)) == whole
        said = whole[0]["registrations"]["reg"]
        if shown is None:
            assert said["problem"].startswith("describe returned a value that JSON cannot hold: ")
        else:
            assert {name: said[name] for name in shown} == shown
        assert "problem" not in whole[0]["registrations"]["other"]
        await services.close(1)

    run(main())


def test_nothing_is_exported() -> None:
    """The error says so."""

    async def main() -> None:
        services = table(names=())
        with pytest.raises(ServiceNotFound) as raised:
            services.matching("*")
        assert str(raised.value) == "no service matches '*' (services: none)"
        services.export(instance("orders"))
        with pytest.raises(ServiceNotFound) as raised:
            services.matching("bill*")
        assert str(raised.value) == "no service matches 'bill*' (services: orders)"

    run(main())
