"""What is never asked is refused when it is added: no plugin is there in name only."""

from __future__ import annotations

import asyncio
import functools
import sys
import types
from collections.abc import Callable
from typing import Any

import pytest

from lifecycle import hookspecs
from lifecycle.calls import plugins
from lifecycle.calls.plugins import Plugins
from lifecycle.calls.probe_function import plugin_of
from lifecycle.exceptions import PluginError
from lifecycle.hookspecs import hookimpl
from lifecycle.runtime import Lifecycle, core_of
from lifecycle.settings import Settings

QUICK = Settings(qos_enabled=False, settle=0, quiet=0)


class Hookless:
    """No plugin."""


class Falsy(Hookless):
    """No plugin, and false."""

    def __len__(self) -> int:
        return 0


class Fine:
    """A plugin."""

    @hookimpl
    def lifecycle_readiness(self) -> bool:
        """Be fine."""
        return True


class Raises(Fine):
    """A plugin that cannot be constructed."""

    def __init__(self) -> None:
        raise RuntimeError("no DATABASE_URL")


class Leaves(Fine):
    """A plugin that wants to exit as it is constructed."""

    def __init__(self) -> None:
        sys.exit(3)


class Wordless(Fine):
    """A plugin that does not say why it cannot be constructed."""

    def __init__(self) -> None:
        raise LookupError


class Wants(Fine):
    """A plugin that cannot be constructed without an argument."""

    def __init__(self, url: str) -> None: ...


NO_PLUGINS = [
    (42, "plugin 'int' has no hook. The object is 42"),
    (None, "plugin 'NoneType' has no hook. The object is None"),
    ("lifecycle_probes", "Pass the module 'lifecycle_probes' itself, or .*`plugins`"),
    (Hookless(), "plugin 'Hookless' has no hook. The object is <"),
    (Hookless, "plugin 'Hookless' has no hook"),
    (Falsy(), "plugin 'Falsy' has no hook"),
    ([], "plugin 'list' has no hook"),
    (
        lambda name="": Fine(),
        "The object is a function. Call it, and pass the object that it returns.",
    ),
    (types.ModuleType("theirs"), "plugin 'theirs' has no hook"),
    (
        Raises,
        r"'Raises': its class raised RuntimeError: no DATABASE_URL \(.*refused\.py:\d+\)\nSee ",
    ),
    (Leaves, r"'Leaves': its class raised SystemExit: 3 \(.*refused\.py:\d+\)\nSee "),
    (Wordless, r"'Wordless': its class raised LookupError \(.*refused\.py:\d+\)\nSee "),
    (Wants, "'Wants': its class raised TypeError: .* 1 required positional argument: 'url'\nSee "),
]


@pytest.mark.parametrize("way", ["use", "use_async", "plugins"])
@pytest.mark.parametrize(("given", "words"), NO_PLUGINS)
def test_no_plugin(given: Any, words: str, way: str) -> None:
    """What has no hook or cannot be made is an error that says what it is; nothing of it stays."""

    async def add() -> None:
        async with Lifecycle(QUICK) as life:
            before = core_of(life).plugins.names
            with pytest.raises(PluginError, match=words):
                await life.use_async(given) if way == "use_async" else life.use(given)
            assert core_of(life).plugins.names == before

    async def start() -> None:
        with pytest.raises(PluginError, match=words):
            async with Lifecycle(QUICK, plugins=[given]):
                pass

    asyncio.run(start() if way == "plugins" else add())


def refused(plugin: object, words: str) -> None:
    """See it refused, and nothing of it stay."""
    loaded = Plugins(hookspecs, Settings(), {})
    with pytest.raises(PluginError, match=words):
        loaded.add(plugin, "theirs")
    assert loaded.names == []
    assert all(
        loaded.implementations(hook) == [] for hook in Plugins(hookspecs, Settings(), {}).hooks
    )


@pytest.mark.parametrize("beside", [False, True], ids=["alone", "beside a hook"])
@pytest.mark.parametrize("hook", Plugins(hookspecs, Settings(), {}).hooks)
def test_a_hook_that_is_not_marked(hook: str, *, beside: bool) -> None:
    """A function of a hook's name without the mark is an error, as it would never be called."""
    other = "lifecycle_drain" if hook == "lifecycle_readiness" else "lifecycle_readiness"
    given: dict[str, Any] = {hook: lambda self: True}
    if beside:
        given[other] = hookimpl(lambda self: None)
    words = f"'theirs': {hook!r} is not marked. Add @lifecycle.hookimpl above it"
    refused(type("Theirs", (), given)(), words)
    refused(type("Theirs", (), {**given, hook: staticmethod(lambda: True)})(), words)
    module = types.ModuleType("theirs")
    vars(module).update(given)
    refused(module, words)


def test_a_misspelt_hook_that_is_not_marked() -> None:
    """It is the one thing there is: the error names it."""
    refused(type("Theirs", (), {"lifecycle_redyness": lambda self: True})(), "'lifecycle_redyness'")


@pytest.mark.parametrize(
    "hook",
    [
        True,
        hookimpl(functools.partial(bool, 1)),
        property(hookimpl(lambda self: True)),
    ],
    ids=["a value", "a partial", "a property"],
)
def test_a_hook_that_is_no_function(hook: object) -> None:
    """What cannot be called as a hook is an error, marked or not."""
    plugin = type("Theirs", (Fine,), {"lifecycle_liveness": hook})()
    refused(plugin, "'theirs': 'lifecycle_liveness' must be a function or a method")


def test_what_is_no_mistake() -> None:
    """A hook of the base class that is set to None, and a name that is only like a hook's."""

    class Less(Fine):
        lifecycle_drain = None
        lifecycle_probes = sys

        def lifecycle_of(self) -> None:
            """Help."""

    loaded = Plugins(hookspecs, Settings(), {})
    loaded.add(Less(), "theirs")
    assert loaded.names == ["theirs"]


class Point:
    """An entry point."""

    name = value = "zz_theirs"

    def __init__(self, plugin: object) -> None:
        self._plugin = plugin

    def load(self) -> object:
        """Give it."""
        return self._plugin


def test_an_installed_plugin_without_hooks(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a named failure, and stops nobody; one whose hook is not marked does."""
    found: list[Point] = [Point(Hookless)]
    monkeypatch.setattr(plugins, "entry_points", lambda _: found)
    loaded = Plugins(hookspecs, Settings(), {})
    loaded.discover()
    assert loaded.names == []
    assert "has no hook" in loaded.failed["zz_theirs"]
    found[:] = [Point(type("Theirs", (), {"lifecycle_drain": lambda self: None}))]
    with pytest.raises(PluginError, match="'zz_theirs': 'lifecycle_drain' is not marked"):
        Plugins(hookspecs, Settings(), {}).discover()


def test_a_named_module_without_hooks() -> None:
    """Who asks for a plugin by name and gets none is told."""
    with pytest.raises(PluginError, match="plugin 'colorsys' has no hook"):
        Plugins(hookspecs, Settings(plugins=("colorsys",)), {}).discover()


async def coroutine() -> bool:
    """Be fine."""
    return True


WRONG_CHECKS: list[tuple[Callable[[], object], str]] = [
    (lambda: lambda a, b: True, "must take one argument .the Lifecycle. or none, not a, b"),
    (lambda: lambda *, a: True, "not a"),
    (lambda: True, "a check must be a function, not True"),
    (lambda: "database", "a check must be a function, not 'database'"),
    (coroutine, r"without the \(\)"),
]


@pytest.mark.parametrize("kind", ["readiness", "liveness"])
@pytest.mark.parametrize(("make", "words"), WRONG_CHECKS)
def test_a_check_that_cannot_be_called(make: Any, words: str, kind: str) -> None:
    """It is refused where it is given, not found false at every probe."""

    async def add() -> None:
        async with Lifecycle(QUICK) as life:
            with pytest.raises(PluginError, match=words):
                getattr(life, kind)(make())

    asyncio.run(add())


@pytest.mark.parametrize(
    ("check", "given"),
    [
        (lambda *a: a, ()),
        (lambda life: (life,), ("life",)),
        (lambda life, limit=3: (life, limit), ("life", 3)),
        (lambda limit=3: (limit,), (3,)),
        (lambda *, limit=3: (limit,), (3,)),
        (functools.partial(lambda pool, life: (pool, life), 1), (1, "life")),
        (functools.partial(lambda pool: (pool,), 1), (1,)),
        (dict, {}),
    ],
)
def test_what_a_check_is_given(check: Any, given: object) -> None:
    """The lifecycle if it needs an argument; what has a default keeps it."""
    plugin = plugin_of("lifecycle_readiness", check, "life")
    assert plugin.lifecycle_readiness() == given
