"""What a hook may give: what is wrong is refused by name, before anything is registered."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import lifecycle
from lifecycle import hookspecs
from lifecycle.calls.plugins import Plugins
from lifecycle.control.plugin_activation import checked
from lifecycle.settings import Settings


class Nameless(lifecycle.Registry):
    async def register(self, instance: lifecycle.Instance) -> None: ...
    async def deregister(self, instance: lifecycle.Instance) -> None: ...
    async def keep(self, instance: lifecycle.Instance) -> str:
        return await asyncio.Event().wait()


class Numbered(Nameless):
    name: Any = 7


class Gives:
    @lifecycle.hookimpl
    def lifecycle_registries(self) -> Any: ...


@pytest.mark.parametrize("registry", [Nameless, Numbered])
def test_a_registry_without_a_name(registry: type[Nameless]) -> None:
    """It cannot be configured or shown: its plugin and its class are named, and what to do."""
    config = Settings()
    plugins = Plugins(hookspecs, config, {})
    plugins.add(Gives(), "theirs")
    [given] = plugins.implementations("lifecycle_registries")

    with pytest.raises(
        lifecycle.PluginError, match=f"plugin 'theirs': {registry.__name__} has no name. Set `name`"
    ):
        checked(given, [registry()], lifecycle.Registry)


class Leaves(Nameless):
    @property
    def name(self) -> Any:  # type: ignore[override]
        raise SystemExit(3)


class Unprintable:
    def __repr__(self) -> str:
        raise SystemExit(3)


@pytest.mark.parametrize("given", [Leaves(), Unprintable()])
def test_what_wants_to_exit_when_it_is_looked_at(given: object) -> None:
    """It is looked at on the control loop, which it must not end: it is refused like the others."""
    plugins = Plugins(hookspecs, Settings(), {})
    plugins.add(Gives(), "theirs")
    [each] = plugins.implementations("lifecycle_registries")

    with pytest.raises(
        lifecycle.PluginError, match="the value of lifecycle_registries raised SystemExit: 3"
    ):
        checked(each, [given], lifecycle.Registry)
