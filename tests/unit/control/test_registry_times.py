"""The times of a registry: which are allowed, and that they fit into the grace period."""

from __future__ import annotations

import math
from typing import Any

import pytest

from lifecycle.config import Config
from lifecycle.contracts import Registry
from lifecycle.control.registry_times import take_times
from lifecycle.drain.exit_code import Ending
from lifecycle.exceptions import ConfigError, PluginError
from lifecycle.settings import Settings
from tests.unit.control.registries import Forgetful, Scripted, With
from tests.unit.virtual_time import Stage, run


def slow(settle: Any = None, *, retry: Any = 15.0, forgets: bool = False) -> Scripted:
    """Return a registry with these times."""
    registry = Forgetful("zookeeper") if forgets else Scripted("zookeeper")
    registry.settle, registry.retry = settle, retry
    return registry


@pytest.mark.parametrize("value", [-1, math.nan, math.inf, 3601, "5", True, []])
def test_a_settle_time_that_is_none(value: Any) -> None:
    """The registry, the value and the range are named."""
    with pytest.raises(PluginError, match=r"registry 'zookeeper': settle=.* from 0 to 3600"):
        take_times(slow(value), Settings())


@pytest.mark.parametrize("value", [0, 0.05, -1, math.nan, math.inf, 3601, "5", True, None])
def test_a_pause_that_is_none(value: Any) -> None:
    """It would make us ask without a pause, or never again."""
    with pytest.raises(PluginError, match=r"registry 'zookeeper': retry=.* from 0.1 to 3600"):
        take_times(slow(retry=value), Settings())


def test_a_settle_time_that_does_not_fit() -> None:
    """The start fails, with the registry, its seconds, and the grace period that is needed."""
    with pytest.raises(ConfigError) as raised:
        take_times(slow(40.0, forgets=True), Settings())
    assert str(raised.value) == (
        "the registry 'zookeeper' does not fit into the grace period: settle 40 (the time that its "
        "clients need) + quiet 1 + 0.5 (to forget the address) + stop_timeout 3 + 2 = 46.5 s, which "
        "is longer than grace_period=30 s. Raise grace_period and the pod's "
        "terminationGracePeriodSeconds to at least 47, or lower one of the other settings."
    )


@pytest.mark.parametrize(
    ("settle", "forgets", "grace", "good"),
    [
        (7.0, False, 13.0, True),
        (7.0, False, 12.9, False),
        (7.0, True, 13.5, True),
        (7.0, True, 13.4, False),
        (3.0, False, 11.0, True),
        (3.0, True, 11.0, False),
        (None, True, 11.5, True),
        (None, True, 11.4, False),
    ],
)
def test_what_fits(*, settle: float | None, forgets: bool, grace: float, good: bool) -> None:
    """To the last tenth: settle, quiet 1, stop 3 and 2, and half a second if it forgets."""
    settings = Settings(Config(grace_period=grace))
    if good:
        take_times(slow(settle, forgets=forgets), settings)
        return
    with pytest.raises(ConfigError, match="'zookeeper' does not fit into the grace period"):
        take_times(slow(settle, forgets=forgets), settings)


def test_the_grace_period_of_the_pod_must_fit_it_too() -> None:
    """Whichever of the two is known first; one that was removed does not count."""
    settings = Settings()
    take_times(slow(20.0), settings)
    with pytest.raises(ConfigError, match="at least 26"):
        settings.take_grace_period(20)
    assert settings.grace_period == 30
    settings.drop_registry("zookeeper")
    assert settings.take_grace_period(20)


@pytest.mark.parametrize(
    ("registry", "error"), [(slow(40.0), ConfigError), (slow("a while"), PluginError)], ids=str
)
def test_the_start_fails(registry: Registry, error: type[Exception]) -> None:
    """What was opened is closed again, and nothing of it is kept."""

    async def main() -> None:
        stage = Stage(Config(), (With(registry),))
        with pytest.raises(error):
            await stage.open()
        assert registry.closed_at  # type: ignore[attr-defined]
        assert stage.life.config.take_grace_period(12)
        assert "zookeeper" not in stage.conductor.services.registries
        stage.core.app_loop.detach()

    run(main())


def test_a_plugin_that_is_removed_takes_its_times_along() -> None:
    """A registry that comes later counts by itself."""

    async def main() -> None:
        stage = await Stage(Config()).open()
        for settle in (20.0, 10.0):
            plugin = With(slow(settle))
            stage.core.plugins.add(plugin, "zk")
            await stage.conductor.activation.activate("zk")
            with pytest.raises(ConfigError):
                stage.life.config.take_grace_period(settle + 5)
            await stage.conductor.activation.deactivate("zk", plugin)
        assert stage.life.config.take_grace_period(12)
        stage.departure.begin("test")
        stage.departure.main_ended(Ending(), "test")
        await stage.close()

    run(main())
