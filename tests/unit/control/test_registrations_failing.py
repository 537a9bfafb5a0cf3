"""What is said of a registration that fails, is refused or is lost, and for how long."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from lifecycle.control.registration import Actual
from lifecycle.control.services import OPERATOR, Services
from lifecycle.exceptions import RegistrationRefused
from lifecycle.links import help_page
from lifecycle.log import Log
from tests.unit.control.registries import Scripted, Unprintable, failing, fine, hang, row, table
from tests.unit.virtual_time import Diary, instance, run


def test_offline_and_online_after_a_refusal() -> None:
    """Who releases a service that was refused asks for it again, and the refusal is gone."""

    async def main() -> None:
        registry = Scripted()
        registry.on_register = failing(RegistrationRefused("no such namespace"))
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


def test_a_failure_is_forgotten_once_it_is_out() -> None:
    """Once it is out, what was wrong is no longer shown."""

    async def main() -> None:
        registry = Scripted()
        services = table(registry)
        await services.until(lambda: services.all_confirmed)
        registry.on_deregister = failing(OSError("away"))
        services.withdraw()
        await asyncio.sleep(1)
        assert row(services).error == "OSError: away"
        registry.on_deregister = fine
        await services.until(lambda: services.all_out)
        assert row(services).error == ""
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
        registration = services.entries["orders"].registrations["consul"]
        assert (registration.actual, registration.error) == (Actual.NO, "the session has expired")
        log.flush(5)
        await asyncio.sleep(30)
        assert registration.confirmed
        log.flush(5)
        told = {"service": "orders", "registry": "consul"}
        lost = told | {"registered": "no", "reason": "the session has expired"}
        lost["see"] = help_page("registration-lost")
        yes = told | {"registered": "yes"}
        assert lines[:3] == [(logging.INFO, yes), (logging.WARNING, lost), (logging.INFO, yes)]
        await services.close(1)
        log.close(1)

    run(main())
