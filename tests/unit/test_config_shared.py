"""One `Config` given to several lifecycles: what one fills in, another does not see."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from lifecycle.config import Config
from lifecycle.exceptions import ConfigError
from lifecycle.hookspecs import hookimpl
from lifecycle.runtime import Lifecycle, core_of
from lifecycle.settings import Settings


@dataclass(frozen=True)
class Options:
    """What the plugin below wants to know."""

    host: str = "localhost"


class Asking:
    """A plugin with options."""

    @hookimpl
    def lifecycle_options(self) -> type[object]:
        """Give the class."""
        return Options


@pytest.fixture
def config(monkeypatch: pytest.MonkeyPatch) -> Config:
    """Make the settings that are shared."""
    for name in ("ONE", "TWO"):
        monkeypatch.setenv(f"LIFECYCLE_{name}_HOST", name)
    return Config(qos_enabled=False, settle=0, quiet=0)


def test_one_after_the_other(config: Config) -> None:
    """The second has the options of its own plugins alone."""

    async def main() -> None:
        async with Lifecycle(config) as first:
            first.use(Asking(), name="one")
            assert first.config.options(Options).host == "ONE"
        async with Lifecycle(config) as second:
            with pytest.raises(ConfigError, match="not the options class of a loaded plugin"):
                second.config.options(Options)
            second.use(Asking(), name="two")
            assert second.config.options(Options).host == "TWO"
            options = second.config.public_options()
            assert "two.host" in options
            assert "one.host" not in options

    asyncio.run(main())
    assert Settings(config).public_options() == {}


def test_one_beside_the_other(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plugin of one name in both has in each what was so when it came."""

    async def main() -> None:
        async with Lifecycle(config) as first, Lifecycle(config) as second:
            first.use(Asking(), name="one")
            monkeypatch.setenv("LIFECYCLE_ONE_HOST", "ELSE")
            second.use(Asking(), name="one")
            assert first.config.options(Options).host == "ONE"
            assert second.config.options(Options).host == "ELSE"
            core_of(second).plugins.remove("one")
            assert first.config.options(Options).host == "ONE"

    asyncio.run(main())


def test_the_pods_grace_period(config: Config) -> None:
    """The grace period that one has from its pod is not the other's, nor the caller's."""
    first, second = Lifecycle(config), Lifecycle(config)
    assert first.config == second.config == config
    assert first.config.take_grace_period(45)
    assert first.config.public()["grace_period"]["source"] == "pod"
    assert second.config.grace_period == config.grace_period == 30
    assert second.config.public()["grace_period"]["source"] == "default"
    assert second.config.take_grace_period(50)
