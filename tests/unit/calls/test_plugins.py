"""Finding plugins, checking how they are written, and in which order they are called."""

from __future__ import annotations

import types
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from lifecycle import hookspecs
from lifecycle.calls.plugins import Implementation, Me, Plugins
from lifecycle.config import core_variables
from lifecycle.contracts import ProbeOptions, inline, probe
from lifecycle.exceptions import ConfigError, PluginError
from lifecycle.hookspecs import hookimpl
from lifecycle.settings import Settings

Install = Callable[..., None]


def plugins(*words: str, **environ: str) -> Plugins:
    """Make the plugins of a config whose `plugins` are these words."""
    return Plugins(hookspecs, Settings(plugins=words), environ)


class Fine:
    """Has a hook, and takes a part of what it is offered."""

    @hookimpl
    def lifecycle_transition(self, transition: object) -> None:
        """Take the transition, not the life."""


def test_a_hook_takes_what_it_asks_for() -> None:
    """An implementation gets the arguments it names, and no others."""
    loaded = plugins()
    loaded.add(Fine(), "fine")
    (found,) = loaded.implementations("lifecycle_transition")
    assert (found.plugin, found.hook, found.argnames) == (
        "fine",
        "lifecycle_transition",
        ("transition",),
    )
    assert found.arguments({"life": 1, "transition": 2}) == {"transition": 2}
    assert found.options == ProbeOptions(None, None)
    assert found.inline is False


def test_a_class_is_called() -> None:
    """A class is made an object of, and gives its name."""
    loaded = plugins()
    assert loaded.add(Fine) == "Fine"
    (found,) = loaded.implementations("lifecycle_transition")
    assert isinstance(found.function.__self__, Fine)  # type: ignore[attr-defined]


def test_a_module_gives_its_name() -> None:
    """A module is a plugin, of its own name."""
    module = types.ModuleType("their_module")
    module.lifecycle_readiness = hookimpl(lambda: True)  # type: ignore[attr-defined]
    loaded = plugins()
    assert loaded.add(module) == "their_module"
    assert loaded.names == ["their_module"]


def test_marks_reach_the_implementation() -> None:
    """`probe` and `inline` are kept with the implementation."""

    class Marked:
        @hookimpl
        @probe(timeout=2, every=10)
        @inline
        def lifecycle_readiness(self) -> bool:
            return True

    loaded = plugins()
    loaded.add(Marked)
    (found,) = loaded.implementations("lifecycle_readiness")
    assert (found.options, found.inline) == (ProbeOptions(2, 10), True)


@pytest.mark.parametrize("right", Plugins(hookspecs, Settings(), {}).hooks)
def test_a_misspelt_hook(right: str) -> None:
    """A hook that does not exist is an error with the right name; nothing of it stays."""
    wrong = right[:-2] + right[-1]
    plugin = types.SimpleNamespace(**{wrong: hookimpl(lambda: None)})
    loaded = plugins()
    with pytest.raises(PluginError, match=f"{wrong!r}, which does not exist.*mean {right!r}"):
        loaded.add(plugin, "theirs")
    assert loaded.names == []


def test_an_unknown_argument() -> None:
    """An argument that the hook does not offer is an error; nothing of it stays."""
    plugin = types.SimpleNamespace(lifecycle_readiness=hookimpl(lambda lief: True))
    loaded = plugins()
    with pytest.raises(PluginError, match=r"(?s)plugin 'theirs'.*lief"):
        loaded.add(plugin, "theirs")
    assert loaded.names == []
    assert loaded.implementations("lifecycle_readiness") == []


@pytest.mark.parametrize("kind", ["wrapper", "hookwrapper"])
def test_a_wrapper(kind: str) -> None:
    """Hooks are called one by one, so a wrapper is an error that says so."""

    def around():
        yield

    plugin = types.SimpleNamespace(lifecycle_readiness=hookimpl(**{kind: True})(around))
    loaded = plugins()
    with pytest.raises(PluginError, match="wrappers are not supported"):
        loaded.add(plugin, "theirs")
    assert loaded.names == []


def test_a_name_taken_twice() -> None:
    """Two plugins of one name, or one plugin twice, is an error; the first stays."""
    loaded = plugins()
    first = Fine()
    loaded.add(first, "theirs")
    with pytest.raises(PluginError, match="'theirs' is already registered"):
        loaded.add(Fine(), "theirs")
    twice = "'other': the same object is already registered, as 'theirs'"
    with pytest.raises(PluginError, match=twice):
        loaded.add(first, "other")
    assert loaded.names == ["theirs"]


def test_implementations_come_in_the_order_of_loading() -> None:
    """The first that was loaded is called, and shown, first."""
    loaded = plugins()
    for name in ("b", "a", "c"):
        loaded.add(Fine(), name)
    found = [each.plugin for each in loaded.implementations("lifecycle_transition")]
    assert found == loaded.names == ["b", "a", "c"]


def test_a_disabled_plugin() -> None:
    """`no:NAME` leaves a plugin out, however it would have come."""
    loaded = plugins("no:theirs")
    assert loaded.add(Fine(), "theirs") == "theirs"
    assert loaded.names == []


@dataclass(frozen=True)
class Options:
    """What the plugin below wants to know."""

    host: str = "localhost"

    def __post_init__(self) -> None:
        if self.host == "mars":
            raise ValueError(f"host={self.host!r}: must be on earth")


class WithOptions:
    """A plugin with options."""

    @hookimpl
    def lifecycle_options(self) -> type:
        """Give the class."""
        return Options

    @hookimpl
    def lifecycle_readiness(self) -> bool:
        """Be fine."""
        return True


def test_options() -> None:
    """A plugin's options are filled when it is loaded, and their variables are known."""
    environ = {"LIFECYCLE_THEIRS_HOST": "db", "LIFECYCLE_THEIRS_HSOT": "db"}
    config = Settings()
    loaded = Plugins(hookspecs, config, environ)
    loaded.add(WithOptions(), "theirs")
    assert config.options(Options).host == "db"
    assert loaded.unknown_variables(core_variables()) == {
        "LIFECYCLE_THEIRS_HSOT": (
            "LIFECYCLE_THEIRS_HSOT is not a setting. Did you mean LIFECYCLE_THEIRS_HOST?"
        )
    }


class Asking(WithOptions):
    """One of a class that is loaded under several names."""

    @hookimpl
    def lifecycle_readiness(self, me: Me) -> bool:
        """Say where it looks."""
        return (me.name, me.options(Options).host)  # type: ignore[return-value]


def test_two_plugins_of_one_options_class() -> None:
    """Each reads the options of its own name, whichever came last; the other may go again."""
    environ = {"LIFECYCLE_ONE_HOST": "db", "LIFECYCLE_TWO_HOST": "broker"}
    config = Settings()
    loaded = Plugins(hookspecs, config, environ)
    loaded.add(Asking(), "one")
    loaded.add(Asking(), "two")
    hooks = loaded.implementations("lifecycle_readiness")

    def asked(hook: Implementation) -> object:
        return hook.function(**hook.arguments({"life": object()}))

    assert [asked(hook) for hook in hooks] == [("one", "db"), ("two", "broker")]
    assert config.public_options()["one.host"]["value"] == "db"
    assert config.public_options()["two.host"]["value"] == "broker"
    assert [repr(hook.me) for hook in hooks] == ["Me('one')", "Me('two')"]

    loaded.remove("two")
    assert asked(hooks[0]) == ("one", "db")
    assert config.options(Options).host == "db"
    with pytest.raises(ConfigError, match="Options is not the options class of the plugin 'two'"):
        asked(hooks[1])


def test_options_of_a_class_that_two_plugins_have() -> None:
    """Without saying whose, nobody's are given: the error names both, and the way to say it."""
    config = Settings()
    loaded = Plugins(hookspecs, config, {})
    loaded.add(Asking(), "one")
    assert config.options(Options) is config.options(Options, "one")
    loaded.add(Asking(), "two")
    with pytest.raises(ConfigError, match=r"the plugins one, two all have .*me.options\(Options\)"):
        config.options(Options)


def test_a_hook_that_takes_only_itself() -> None:
    """`me` is given to each hook but the one that gives the options."""
    for name in Plugins(hookspecs, Settings(), {}).hooks:
        hook = hookimpl(lambda me: me.name)
        loaded = plugins()
        if name == "lifecycle_options":
            with pytest.raises(PluginError, match="me"):
                loaded.add(types.SimpleNamespace(**{name: hook}), "theirs")
            continue
        loaded.add(types.SimpleNamespace(**{name: hook}), "theirs")
        (found,) = loaded.implementations(name)
        assert found.function(**found.arguments({})) == "theirs"


def test_options_that_are_refused() -> None:
    """Options out of range name the variable; the plugin is not half there, and may come again."""
    environ = {"LIFECYCLE_THEIRS_HOST": "mars"}
    loaded = Plugins(hookspecs, Settings(), environ)
    with pytest.raises(ConfigError, match=r"must be on earth \(from LIFECYCLE_THEIRS_HOST\)"):
        loaded.add(WithOptions(), "theirs")
    assert loaded.names == []
    assert loaded.implementations("lifecycle_readiness") == []
    environ.clear()
    assert loaded.add(WithOptions(), "theirs") == "theirs"


@pytest.mark.parametrize("given", [None, Options(), dict, "Options"])
def test_options_that_are_no_dataclass(given: object) -> None:
    """What is no dataclass is an error with the plugin's name."""
    plugin = types.SimpleNamespace(lifecycle_options=hookimpl(lambda: given))
    loaded = plugins()
    with pytest.raises(PluginError, match="plugin 'theirs': lifecycle_options returned"):
        loaded.add(plugin, "theirs")


def test_variables_of_a_plugin_that_is_left_out() -> None:
    """What a disabled or broken plugin would read is no mistake."""
    environ = {"LIFECYCLE_OFF_HOST": "x", "LIFECYCLE_BROKEN_HOST": "y", "LIFECYCLE_OFFICE": "z"}
    loaded = Plugins(hookspecs, Settings(plugins=("no:off",)), environ)
    loaded.failed["broken"] = "it does not import"
    assert set(loaded.unknown_variables(core_variables())) == {"LIFECYCLE_OFFICE"}


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"timeout": 0}, "timeout=0"),
        ({"timeout": 61}, "timeout=61"),
        ({"timeout": float("nan")}, "timeout=nan"),
        ({"every": 0.05}, "every=0.05"),
        ({"every": 1e6}, "every=1000000.0"),
    ],
)
def test_probe_refuses(how: dict[str, float], words: str) -> None:
    """A timeout or a period out of range is refused where it is written."""
    with pytest.raises(ValueError, match=words):
        probe(**how)
