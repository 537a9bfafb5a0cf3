"""
Refuses to start if a variable names a service registry, and the plugin for it is missing.

Other unknown variables only cause a warning. But with such a variable, the app is to be found
through a registry. Without the plugin, it would be ready, and clients would not find it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from lifecycle.calls.plugins import Plugins
from lifecycle.config import Config
from lifecycle.environment_variables import PREFIX, variable
from lifecycle.exceptions import ConfigError

DISTRIBUTIONS: Final = {
    name: f"lifecycle-{name}" for name in ("consul", "etcd", "nacos", "redis", "zookeeper")
}
"""The plugins for service registries, with the distributions that contain them."""
URLS: Final = {variable("url", name): name for name in DISTRIBUTIONS}
"""The variables with the addresses of registries, with the names of the plugins."""
NEAR: Final = 0.85
"""How similar a misspelt name is at least. LIFECYCLE_TCP_URL is not near LIFECYCLE_ETCD_URL."""
_LINK: Final = ("tcp://", "udp://", "sctp://")
SEE: Final = "registry-not-installed"


def refuse_missing_registry(
    plugins: Plugins, config: Config, environ: Mapping[str, str], known: Iterable[str]
) -> None:
    """
    Check the variables that name service registries. Call this when all plugins are found.

    Args:
        plugins: The plugins that were found.
        config: The settings. `optional_registries` and `no:NAME` in `plugins` allow a start
            without a registry.
        environ: The environment variables.
        known: The variables of the settings.

    Raises:
        ConfigError: Such a variable is set, and its plugin is not installed or does not load. Or
            the name of such a variable is misspelt.
    """
    off = {word.removeprefix("no:") for word in config.plugins if word.startswith("no:")}
    allowed = off | {*config.optional_registries}
    for name, plugin in URLS.items():
        if plugin in plugins.failed and plugin not in allowed and _is_set(name, environ):
            raise ConfigError(
                f"{name} is set, but the plugin {plugin!r} cannot be loaded: "
                f"{plugins.failed[plugin]}. {_otherwise(plugin)}",
                see=SEE,
            )
    installed = {*plugins.names, *plugins.off}
    for name in plugins.unknown_variables(known):
        if not _is_set(name, environ):
            continue
        plugin = URLS.get(name, "")
        if plugin and plugin not in allowed | installed:
            raise ConfigError(
                f"{name} is set, but the plugin {plugin!r} is not installed. Run `pip install "
                f"{DISTRIBUTIONS[plugin]}`, or remove the variable. {_otherwise(plugin)}",
                see=SEE,
            )
        if not plugin and (meant := intended(name)) and not _is_set(meant, environ):
            plugin = URLS[meant]
            if plugin not in allowed:
                hint = (
                    "" if plugin in installed else f" after `pip install {DISTRIBUTIONS[plugin]}`"
                )
                raise ConfigError(
                    f"{name} is not a setting. Use {meant}{hint}, or remove the variable. "
                    f"{_otherwise(plugin)}",
                    see=SEE,
                )


def intended(name: str) -> str:
    """Return the variable of a registry that a misspelt name stands for. Empty if there is none."""
    from difflib import get_close_matches  # imported only after a mistake

    bare = {_bare(each): each for each in URLS}
    near = get_close_matches(_bare(name), bare, n=1, cutoff=NEAR)
    return bare[near[0]] if near else ""


def _bare(name: str) -> str:
    return name.removeprefix(PREFIX).replace("_", "")


def _is_set(name: str, environ: Mapping[str, str]) -> bool:
    # An address of this form comes from a service link of Kubernetes, and not from a person.
    value = environ.get(name, "").strip()
    return bool(value) and not value.lower().startswith(_LINK)


def _otherwise(plugin: str) -> str:
    return (
        "If the app may run without this registry, add it to optional_registries, or turn it off "
        f"with no:{plugin}."
    )
