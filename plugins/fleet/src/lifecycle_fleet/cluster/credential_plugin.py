"""
Credential plugins (`exec` in a kubeconfig), for example of EKS, GKE or Teleport.

The plugin runs with the first request, when its credential has expired, and after a 401. Its stderr
is that of this process, so that it can tell how to log in, as under kubectl.
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Mapping
from datetime import datetime
from typing import Any, Final

import httpx2

from lifecycle_fleet.errors import KubeconfigError
from lifecycle_fleet.view.told import one_line

API: Final = "client.authentication.k8s.io/"
VERSIONS: Final = (f"{API}v1", f"{API}v1beta1")
LONGEST: Final = 300.0
"""Seconds for the plugin, in which a person may have to log in."""


class PluginAuth(httpx2.Auth):
    """
    Identifies each request by what the plugin returns: a token, a certificate, or both.

    Args:
        plugin: The `exec` of the user.
        cluster: The cluster, for a plugin that asks for it.
        context: The TLS context of the connections, which gets the certificate.
    """

    def __init__(
        self, plugin: Mapping[str, Any], cluster: Mapping[str, Any], context: ssl.SSLContext
    ) -> None:
        self._plugin = plugin
        self._cluster = cluster
        self._context = context
        self._lock = asyncio.Lock()
        self._token = ""
        self._expires: float | None = None
        """When to run the plugin again, in seconds since the epoch. None before the first time."""

    async def async_auth_flow(
        self, request: httpx2.Request
    ) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        """Identify a request, and once more if the credential is refused."""
        used = await self._current()
        self._identify(request)
        answer = yield request
        if answer.status_code == 401:
            await self._current(instead_of=used)
            self._identify(request)
            yield request

    def _identify(self, request: httpx2.Request) -> None:
        if self._token:
            request.headers["Authorization"] = f"Bearer {self._token}"

    async def _current(self, instead_of: object = None) -> object:
        """Return what names the current credential, after a new one if the old one is of no use."""
        async with self._lock:
            unusable = self._expires is None or time.time() >= self._expires
            if unusable or instead_of == (self._token, self._expires):
                await self._renew()
            return self._token, self._expires

    async def _renew(self) -> None:
        status = self._status(await _output(self._plugin, self._information()))
        self._token = str(status.get("token") or "")
        certificate, key = status.get("clientCertificateData"), status.get("clientKeyData")
        if certificate and key:
            _load(self._context, str(certificate), str(key))
        elif not self._token:
            raise _failed(self._plugin, "the answer has neither a token nor a certificate")
        expires = str(status.get("expirationTimestamp") or "")
        try:
            self._expires = datetime.fromisoformat(expires).timestamp() if expires else _NEVER
        except ValueError:
            self._expires = _NEVER

    def _information(self) -> str:
        spec: dict[str, Any] = {"interactive": _is_interactive(self._plugin)}
        if self._plugin.get("provideClusterInfo"):
            spec["cluster"] = dict(self._cluster)
        version = self._plugin.get("apiVersion")
        return json.dumps({"kind": "ExecCredential", "apiVersion": version, "spec": spec})

    def _status(self, output: bytes) -> Mapping[str, Any]:
        try:
            found = json.loads(output)["status"]
        except (ValueError, KeyError, TypeError):
            found = None
        if not isinstance(found, dict):
            raise _failed(self._plugin, "the answer is not an ExecCredential")
        return found


_NEVER: Final = float("inf")


def _is_interactive(plugin: Mapping[str, Any]) -> bool:
    return plugin.get("interactiveMode") != "Never" and sys.stdin is not None and sys.stdin.isatty()


async def _output(plugin: Mapping[str, Any], information: str) -> bytes:
    version = plugin.get("apiVersion")
    if version not in VERSIONS:
        raise _failed(plugin, f"the apiVersion {version!r} is not one of {', '.join(VERSIONS)}")
    environ = {**os.environ, "KUBERNETES_EXEC_INFO": information}
    try:
        environ |= {str(each["name"]): str(each["value"]) for each in plugin.get("env") or ()}
        words = [str(plugin["command"]), *map(str, plugin.get("args") or ())]
    except (KeyError, TypeError):
        raise _failed(plugin, "its args or its env are not lists as kubectl reads them") from None
    try:
        process = await asyncio.create_subprocess_exec(
            *words,
            env=environ,
            stdin=None if _is_interactive(plugin) else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
        )
    except OSError as error:
        hint = f". {plugin['installHint']}" if plugin.get("installHint") else ""
        raise _failed(plugin, f"the plugin cannot be started: {error.strerror}{hint}") from None
    try:
        async with asyncio.timeout(LONGEST):
            output, _ = await process.communicate()
    except TimeoutError:
        raise _failed(plugin, f"the plugin has not ended after {LONGEST:g} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise _failed(plugin, f"the plugin ended with exit code {process.returncode}")
    return output


def _failed(plugin: Mapping[str, Any], problem: str) -> KubeconfigError:
    return KubeconfigError(
        f"the credential plugin {one_line(str(plugin.get('command')))}: {one_line(problem)}"
    )


def _load(context: ssl.SSLContext, certificate: str, key: str) -> None:
    """Load a certificate, which Python can only do from a file."""
    with tempfile.NamedTemporaryFile("w") as file:  # which nobody else can read
        file.write(f"{certificate}\n{key}\n")
        file.flush()
        context.load_cert_chain(file.name)
