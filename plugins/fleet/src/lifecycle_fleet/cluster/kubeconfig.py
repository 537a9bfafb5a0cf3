"""
The kubeconfig, as kubectl reads it.

Rules of this file:

1. The order is that of kubectl: `--kubeconfig`, then the files of `KUBECONFIG`, then
   `~/.kube/config`. In a pod without any of these, the service account counts.
2. Of several files, the first one that has a cluster, a context or a user counts. A relative path
   in a file starts at the folder of this file.
3. Only the entries of the chosen context are looked at. A broken entry elsewhere does no harm.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlsplit

import yaml
from lightkube import KubeConfig
from lightkube.config.kubeconfig import SERVICE_ACCOUNT, SingleConfig
from lightkube.core.exceptions import ConfigError

from lifecycle_fleet.cluster.proxies import proxy_of
from lifecycle_fleet.errors import KubeconfigError
from lifecycle_fleet.view.told import one_line

DEFAULT: Final = "~/.kube/config"
LISTS: Final = ("clusters", "contexts", "users")
PATHS: Final = (
    "certificate-authority",
    "client-certificate",
    "client-key",
    "tokenFile",
)
"""Fields of a kubeconfig that name a file."""
SCHEMES: Final = ("http", "https", "socks5", "socks5h")
"""Kinds of proxies. For socks5, the package socksio must be installed."""

BROKEN: Final = (ValueError, TypeError, KeyError, AttributeError)
"""The errors of content that has another form."""

Entry = dict[str, Any]


class Access(NamedTuple):
    """
    How to reach one cluster, and the user.

    Attributes:
        config: The context with its cluster and its user, as lightkube has them.
        plugin: The credential plugin of the user (`exec`), or None.
        proxy: The proxy to use, or empty.
        server_name: The name in the certificate of the server, if it is not that of its address.
        headers: Headers of each request, for a user that acts as another one.
    """

    config: SingleConfig
    plugin: Entry | None = None
    proxy: str = ""
    server_name: str = ""
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def namespace(self) -> str:
        """The namespace of the context."""
        return self.config.namespace


def load(
    kubeconfig: str = "",
    context: str = "",
    environ: Mapping[str, str] = os.environ,
    account: str = SERVICE_ACCOUNT,
) -> Access:
    """
    Return how to reach the cluster of one context.

    Args:
        kubeconfig: A file, or empty for the files of the environment.
        context: A context, or empty for the current one.
        environ: The environment.
        account: The folder of the service account of a pod.

    Raises:
        KubeconfigError: There is no kubeconfig, it cannot be read, or it has no such context.
    """
    paths = files(kubeconfig, environ)
    if not paths:
        return _of_pod(context, environ, account)
    merged = _merged(paths)
    try:
        return _access(merged, context, environ)
    except (KubeconfigError, ConfigError, *BROKEN) as error:
        raise _unusable(paths, error) from None


def files(kubeconfig: str, environ: Mapping[str, str]) -> list[str]:
    """Return the files to read. Of the environment, only those that exist."""
    if kubeconfig:
        return [kubeconfig]
    named = environ.get("KUBECONFIG", "")
    wanted = named.split(os.pathsep) if named else [DEFAULT]
    return [path for each in wanted if each and os.path.isfile(path := os.path.expanduser(each))]


def _of_pod(context: str, environ: Mapping[str, str], account: str) -> Access:
    if named := environ.get("KUBECONFIG", ""):
        missing = f"KUBECONFIG names {named}, and there is no such file"
    else:
        missing = f"there is no kubeconfig. Set KUBECONFIG, pass --kubeconfig, or create {DEFAULT}"
    if not environ.get("KUBERNETES_SERVICE_HOST") or not os.path.isfile(f"{account}/token"):
        raise KubeconfigError(missing)
    if context:
        raise KubeconfigError(f"--context {context}: {missing}")
    try:
        found = KubeConfig.from_service_account(account).get()
    except (ConfigError, OSError, KeyError) as error:
        raise KubeconfigError(
            f"the service account in {account} cannot be read: {error!r}"
        ) from None
    if found is None:
        raise KubeconfigError(missing)
    return Access(found, proxy=proxy_of(found.cluster.server, environ))


def _access(merged: Mapping[str, Any], name: str, environ: Mapping[str, str]) -> Access:
    """Return the access of a context, or raise KubeconfigError, or one of BROKEN."""
    name = name or merged["current-context"] or ""
    if not name:
        raise KubeconfigError("there is no current context. Pass --context")
    context = _named(merged, "contexts", name)
    cluster = _named(merged, "clusters", str(context.get("cluster") or ""))
    user: Entry = {}
    if user_name := context.get("user"):
        user = _named(merged, "users", str(user_name))
    server = str(cluster.get("server") or "")
    url = urlsplit(server)
    if url.scheme not in ("http", "https") or not url.hostname:
        raise KubeconfigError(
            f"the server {server!r} of the cluster is not an http or https address"
        )
    proxy = str(cluster.get("proxy-url") or "") or proxy_of(server, environ)
    if proxy and urlsplit(proxy).scheme not in SCHEMES:
        scheme = urlsplit(proxy).scheme  # the rest may have a password in it
        raise KubeconfigError(
            f"the proxy with the scheme {scheme!r} is not an http, https or socks5 address"
        )
    if user.get("auth-provider"):
        raise KubeconfigError(
            f"the user {user_name!r} has an auth-provider, which kubectl does not support either. "
            "Use a credential plugin (exec)"
        )
    plugin = user.get("exec")
    chosen = KubeConfig.from_dict(
        {
            "current-context": name,
            "contexts": [{"name": name, "context": {**context, "user": name}}],
            "clusters": [{"name": context["cluster"], "cluster": cluster}],
            "users": [{"name": name, "user": {**user, "exec": None}}],
        }
    ).get()
    if chosen is None:
        raise KubeconfigError("there is no current context. Pass --context")
    if plugin is not None and not (isinstance(plugin, dict) and plugin.get("command")):
        raise KubeconfigError(f"the credential plugin of the user {user_name!r} has no command")
    return Access(
        chosen,
        plugin,
        proxy,
        str(cluster.get("tls-server-name") or ""),
        tuple(_as_another(user)),
    )


def _named(merged: Mapping[str, Any], kind: str, name: str) -> Entry:
    entries: Mapping[str, Entry] = {each["name"]: each for each in merged[kind]}
    one = kind.removesuffix("s")
    if name not in entries:
        near = get_close_matches(name, entries, 1, 0.6)
        hint = (
            f". Did you mean {near[0]}?" if near else f". There is: {', '.join(entries) or 'none'}"
        )
        raise KubeconfigError(f"no {one} {name!r}{hint}")
    found = entries[name].get(one) or {}
    if not isinstance(found, dict):
        raise KubeconfigError(f"the {one} {name!r} is not a mapping")
    return {key: value for key, value in found.items() if value != ""}  # as if it were missing


def _as_another(user: Entry) -> list[tuple[str, str]]:
    found = []
    if name := user.get("as"):
        found.append(("Impersonate-User", str(name)))
    if uid := user.get("as-uid"):
        found.append(("Impersonate-Uid", str(uid)))
    found += [("Impersonate-Group", str(each)) for each in user.get("as-groups") or ()]
    for key, values in (user.get("as-user-extra") or {}).items():
        found += [(f"Impersonate-Extra-{quote(key)}", str(each)) for each in values]
    return found


def _merged(paths: list[str]) -> dict[str, Any]:
    merged: dict[str, Any] = {name: [] for name in LISTS} | {"current-context": ""}
    for path in paths:
        try:
            content = _content(path)
            for name in LISTS:
                known = {each["name"] for each in merged[name]}
                new = [each for each in content.get(name) or () if each["name"] not in known]
                merged[name] += [_located(each, Path(path).absolute().parent) for each in new]
        except (KubeconfigError, OSError, yaml.YAMLError, *BROKEN) as error:
            raise _unusable([path], error) from None
        merged["current-context"] = merged["current-context"] or content.get("current-context")
    return merged


def _content(path: str) -> dict[str, Any]:
    with open(path, encoding="utf-8") as file:
        found = yaml.safe_load(file) or {}
    if not isinstance(found, dict):
        raise KubeconfigError("not a kubeconfig")
    return found


def _unusable(paths: list[str], error: Exception) -> KubeconfigError:
    if isinstance(error, OSError):
        text = str(error.strerror)
    elif isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        text = f"line {error.problem_mark.line + 1}: {error.problem}"
    elif isinstance(error, (KeyError, AttributeError)) or not str(error):
        text = f"not a kubeconfig ({error!r})"
    else:
        text = " ".join(str(error).split())
    return KubeconfigError(f"the kubeconfig {', '.join(paths)}: {one_line(text)}")


def _located(entry: Entry, folder: Path) -> Entry:
    """Return an entry of a kubeconfig with absolute paths."""
    found = {**entry}
    for kind in ("cluster", "user"):
        if isinstance(values := found.get(kind), dict):
            values = {
                name: str(folder / str(value)) if name in PATHS and value else value
                for name, value in values.items()
            }
            plugin = values.get("exec")
            if isinstance(plugin, dict) and os.sep in str(plugin.get("command") or ""):
                values["exec"] = {**plugin, "command": str(folder / plugin["command"])}
            found[kind] = values
    return found
