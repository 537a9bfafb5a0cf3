"""A variable that names a service registry, and no plugin that reads it."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle import hookspecs
from lifecycle.calls.plugins import Plugins
from lifecycle.calls.registry_variables import (
    DISTRIBUTIONS,
    URLS,
    intended,
    refuse_missing_registry,
)
from lifecycle.config import core_variables
from lifecycle.exceptions import ConfigError
from lifecycle.hookspecs import hookimpl
from lifecycle.links import help_page
from lifecycle.settings import Settings


def check(
    environ: dict[str, str], *, installed: tuple[str, ...] = (), failed: str = "", **given: object
) -> None:
    """Start with these variables, and these plugins for registries."""
    settings = Settings(**given)
    plugins = Plugins(hookspecs, settings, environ)
    for name in installed:
        plugins.add(Plugin(), name)
    if failed:
        plugins.failed[failed] = "ImportError: no kazoo"
    refuse_missing_registry(plugins, settings, environ, core_variables())


@dataclass(frozen=True)
class Options:
    """The options of a plugin for a registry."""

    url: str = ""


class Plugin:
    """One that reads its address."""

    @hookimpl
    def lifecycle_options(self) -> type[Options]:
        """Return the class."""
        return Options


@pytest.mark.parametrize("plugin", DISTRIBUTIONS)
def test_a_registry_whose_plugin_is_not_installed(plugin: str) -> None:
    """The distribution to install is named, and the ways to start without it."""
    name = f"LIFECYCLE_{plugin.upper()}_URL"
    with pytest.raises(ConfigError) as raised:
        check({name: "somewhere:1234"})
    assert str(raised.value) == (
        f"{name} is set, but the plugin {plugin!r} is not installed. Run `pip install "
        f"lifecycle-{plugin}`, or remove the variable. If the app may run without this registry, "
        f"add it to optional_registries, or turn it off with no:{plugin}."
    )
    assert raised.value.see == help_page("registry-not-installed")

    check({name: "somewhere:1234"}, installed=(plugin,))


MISSPELT = {
    "LIFECYCLE_NACO_URL": "LIFECYCLE_NACOS_URL",
    "LIFECYCLE_NACOS_ULR": "LIFECYCLE_NACOS_URL",
    "LIFECYCLE_NACOS_URI": "LIFECYCLE_NACOS_URL",
    "LIFECYCLE_NACOSURL": "LIFECYCLE_NACOS_URL",
    "LIFECYCLE_ZOOKEPER_URL": "LIFECYCLE_ZOOKEEPER_URL",
    "LIFECYCLE_ZOO_KEEPER_URL": "LIFECYCLE_ZOOKEEPER_URL",
    "LIFECYCLE_ECTD_URL": "LIFECYCLE_ETCD_URL",
    "LIFECYCLE_CONSULT_URL": "LIFECYCLE_CONSUL_URL",
    "LIFECYCLE_REDDIS_URL": "LIFECYCLE_REDIS_URL",
    "LIFECYCLE_REDIS_URLS": "LIFECYCLE_REDIS_URL",
}


@pytest.mark.parametrize(("name", "meant"), MISSPELT.items())
def test_a_misspelt_name(name: str, meant: str) -> None:
    """The right name is given, and what to install for it if that is missing too."""
    plugin = URLS[meant]
    with pytest.raises(ConfigError) as raised:
        check({name: "somewhere"})
    said = f"{name} is not a setting. Use {meant} after `pip install lifecycle-{plugin}`"
    assert str(raised.value).startswith(said)

    with pytest.raises(ConfigError, match=f"Use {meant}, or remove the variable"):
        check({name: "somewhere"}, installed=(plugin,))
    check({name: "a", meant: "b"}, installed=(plugin,))  # it is registered all the same


@pytest.mark.parametrize(
    "name",
    [
        "LIFECYCLE_TCP_URL",
        "LIFECYCLE_CONSOLE_URL",
        "LIFECYCLE_NACOS_GROUP",
        "LIFECYCLE_NACOS_USERNAME",
        "LIFECYCLE_URL",
        "LIFECYCLE_SETTEL",
        "LIFECYCLE_XYZZY",
        "NACOS_URL",
        "NACO_URL",
    ],
)
def test_other_unknown_variables_are_left_to_the_warning(name: str) -> None:
    """So that rolling an image back never makes it crash."""
    check({name: "somewhere"})


@pytest.mark.parametrize("name", ["LIFECYCLE_NACOS_URL", "LIFECYCLE_NACO_URL"])
@pytest.mark.parametrize(
    "value", ["", "  ", "tcp://10.0.0.1:8848", "udp://10.0.0.1:1", "TCP://10.0.0.1:1"]
)
def test_a_value_that_names_no_registry(name: str, value: str) -> None:
    """Nothing, or what Kubernetes itself sets for a Service."""
    check({name: value})


def test_the_service_links_of_a_registry_in_the_same_namespace() -> None:
    """A Service `lifecycle-nacos` sets these, and no person did."""
    check(
        {
            "LIFECYCLE_NACOS_SERVICE_HOST": "10.0.0.1",
            "LIFECYCLE_NACOS_SERVICE_PORT": "8848",
            "LIFECYCLE_NACOS_PORT": "tcp://10.0.0.1:8848",
            "LIFECYCLE_NACOS_PORT_8848_TCP": "tcp://10.0.0.1:8848",
            "LIFECYCLE_NACOS_PORT_8848_TCP_PROTO": "tcp",
            "LIFECYCLE_NACOS_PORT_8848_TCP_PORT": "8848",
            "LIFECYCLE_NACOS_PORT_8848_TCP_ADDR": "10.0.0.1",
        }
    )


@pytest.mark.parametrize("name", ["LIFECYCLE_NACOS_URL", "LIFECYCLE_NACO_URL"])
@pytest.mark.parametrize(
    "given", [{"plugins": ("no:nacos",)}, {"optional_registries": ("nacos",)}], ids=str
)
def test_what_may_be_missing(name: str, given: dict[str, object]) -> None:
    """A registry that was turned off, or that the app may run without."""
    check({name: "somewhere"}, **given)


def test_a_plugin_that_does_not_load() -> None:
    """An app that cannot be found must not start, whatever the reason; it is given."""
    environ = {"LIFECYCLE_ZOOKEEPER_URL": "zk:2181"}
    with pytest.raises(ConfigError) as raised:
        check(environ, failed="zookeeper")
    assert str(raised.value).startswith(
        "LIFECYCLE_ZOOKEEPER_URL is set, but the plugin 'zookeeper' cannot be loaded: "
        "ImportError: no kazoo. If the app may run"
    )
    check(environ, failed="zookeeper", optional_registries=("zookeeper",))
    check({}, failed="zookeeper")  # a warning says so, as for other plugins


def test_a_plugin_of_that_name_that_reads_no_such_variable() -> None:
    """Another one than ours: what it does not know is a warning."""

    class Other:
        @hookimpl
        def lifecycle_readiness(self) -> bool:
            return True

    settings, environ = Settings(), {"LIFECYCLE_NACOS_URL": "somewhere"}
    plugins = Plugins(hookspecs, settings, environ)
    plugins.add(Other(), "nacos")
    refuse_missing_registry(plugins, settings, environ, core_variables())
    assert [*plugins.unknown_variables(core_variables())] == ["LIFECYCLE_NACOS_URL"]


@given(st.sampled_from(sorted(URLS)), st.data())
def test_one_letter_less_is_still_recognized(name: str, data: st.DataObject) -> None:
    """Wherever it is missing after the prefix."""
    at = data.draw(st.integers(len("LIFECYCLE_"), len(name) - 1))
    assert intended(name[:at] + name[at + 1 :]) == name


@given(st.sampled_from(sorted(core_variables())))
def test_no_setting_of_the_core_is_taken_for_one(name: str) -> None:
    """They are known; a misspelt one of them is near itself."""
    assert intended(name) == ""
