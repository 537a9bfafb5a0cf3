"""
The kubeconfig, as kubectl reads it.

Rules of this file:

1. The order is that of kubectl: `--kubeconfig`, then the files of `KUBECONFIG`, then
   `~/.kube/config`. In a pod without any of these, the service account counts.
2. Of several files, the first one that has a cluster, a context or a user counts. A relative path
   in a file starts at the folder of this file.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml
from lightkube import KubeConfig
from lightkube.config.kubeconfig import SingleConfig
from lightkube.core.exceptions import ConfigError

from lifecycle_fleet.errors import FleetError

DEFAULT: Final = "~/.kube/config"
LISTS: Final = ("clusters", "contexts", "users")
PATHS: Final = (
    "certificate-authority",
    "client-certificate",
    "client-key",
    "tokenFile",
)
"""Fields of a kubeconfig that name a file."""
EXEC: Final = "client.authentication.k8s.io/"
KNOWN_EXEC: Final = EXEC + "v1beta1"
"""The version of credential plugins that lightkube knows. The answer of `v1` has the same form."""
SEE: Final = "errors.md#fleet-kubeconfig"


def load(
    kubeconfig: str = "", context: str = "", environ: Mapping[str, str] = os.environ
) -> SingleConfig:
    """
    Return the configuration of one context.

    Args:
        kubeconfig: A file, or empty for the files of the environment.
        context: A context, or empty for the current one.
        environ: The environment.

    Raises:
        FleetError: There is no kubeconfig, it cannot be read, or it has no such context.
    """
    paths = files(kubeconfig, environ)
    try:
        if not paths:
            return _selected(KubeConfig.from_service_account(), context)
        return _selected(KubeConfig.from_dict(_merged(paths)), context)
    except KeyError as error:
        problem = f"the kubeconfig ({', '.join(paths) or 'service account'}) has no {error}"
        raise FleetError(problem, see=SEE) from None
    except (ConfigError, OSError, ValueError, TypeError, yaml.YAMLError) as error:
        if not paths:
            raise FleetError(
                f"there is no kubeconfig. Set KUBECONFIG, pass --kubeconfig, or create {DEFAULT}",
                see=SEE,
            ) from None
        text = " ".join(str(error).split())
        raise FleetError(f"the kubeconfig {', '.join(paths)}: {text}", see=SEE) from None


def files(kubeconfig: str, environ: Mapping[str, str]) -> list[str]:
    """Return the files to read. Of the environment, only those that exist."""
    if kubeconfig:
        return [kubeconfig]
    named = environ.get("KUBECONFIG", "")
    wanted = named.split(os.pathsep) if named else [DEFAULT]
    return [path for each in wanted if each and (path := os.path.expanduser(each)) and _is(path)]


def _is(path: str) -> bool:
    return os.path.isfile(path)


def _selected(config: KubeConfig, context: str) -> SingleConfig:
    found = config.get(context or None)
    if found is None:
        raise ConfigError("there is no current context")
    return found


def _merged(paths: list[str]) -> dict[str, Any]:
    merged: dict[str, Any] = {name: [] for name in LISTS}
    for path in paths:
        with open(path, encoding="utf-8") as file:
            content = yaml.safe_load(file) or {}
        if not isinstance(content, dict):
            raise ConfigError("it is not a kubeconfig")
        for name in LISTS:
            known = {each["name"] for each in merged[name]}
            new = [each for each in content.get(name) or () if each["name"] not in known]
            merged[name] += [_located(each, Path(path).absolute().parent) for each in new]
        if not merged.get("current-context"):
            merged["current-context"] = content.get("current-context")
    return merged


def _located(entry: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return an entry of a kubeconfig with absolute paths."""
    found = {**entry}
    for kind in ("cluster", "user"):
        if isinstance(values := found.get(kind), dict):
            found[kind] = {
                name: str(folder / value) if name in PATHS and value else value
                for name, value in values.items()
            }
            found[kind].pop("auth-provider", None)
            _plugin(found[kind])
    if found.get("user") is None and "cluster" not in found and "context" not in found:
        found["user"] = {}
    return found


def _plugin(user: dict[str, Any]) -> None:
    plugin = user.get("exec")
    if isinstance(plugin, dict) and plugin.get("apiVersion") == EXEC + "v1":
        user["exec"] = {**plugin, "apiVersion": KNOWN_EXEC}
