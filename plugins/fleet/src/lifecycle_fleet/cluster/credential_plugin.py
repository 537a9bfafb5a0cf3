"""
Credential plugins (`exec` in a kubeconfig), for example of EKS, GKE or Teleport.

The plugin runs with the first request, when its credential has expired, and after a 401. Its stderr
is that of this process, so that it can tell how to log in, as under kubectl.

After a failure, it does not run again for a while, for all requests, because it may open a browser
each time. A credential that is refused at once is a failure too.
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from datetime import datetime
from typing import Any, Final

import httpx2

from lifecycle_fleet.errors import KubeconfigError
from lifecycle_fleet.view.told import one_line

API: Final = "client.authentication.k8s.io/"
VERSIONS: Final = (f"{API}v1", f"{API}v1beta1")
LONGEST: Final = 300.0
"""Seconds for the plugin, in which a person may have to log in."""
FIRST_PAUSE: Final = 10.0
LONGEST_PAUSE: Final = 300.0
"""Seconds without a run after the first failure, twice as many after each further one, and the most."""


class PluginAuth(httpx2.Auth):
    """
    Identifies each request by what the plugin returns: a token, a certificate, or both.

    Args:
        plugin: The `exec` of the user.
        cluster: The cluster, for a plugin that asks for it.
        context: The TLS context of the connections, which gets the certificate.
        clock: A monotonic clock, in seconds.
    """

    def __init__(
        self,
        plugin: Mapping[str, Any],
        cluster: Mapping[str, Any],
        context: ssl.SSLContext,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._plugin = plugin
        self._cluster = cluster
        self._context = context
        self._clock = clock
        self._lock = asyncio.Lock()
        self._token = ""
        self._runs = 0
        """How many credentials there were. The number names the current one."""
        self._failures = 0
        self._paused_until = 0.0
        self._problem: KubeconfigError | None = None
        """Why the last run gave no credential."""
        self._expires: float | None = None
        """When to run the plugin again, in seconds since the epoch. None before the first time."""

    async def async_auth_flow(
        self, request: httpx2.Request
    ) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        """Identify a request, and once more if the credential is refused."""
        used = await self._current()
        self._identify(request)
        answer = yield request
        if answer.status_code == 401 and (newer := await self._current(instead_of=used)) != used:
            used = newer
            self._identify(request)
            answer = yield request
            if answer.status_code == 401 and used == self._runs and not self._pauses:
                self._pause()
        if answer.status_code != 401:
            self._failures = 0

    @property
    def _pauses(self) -> bool:
        return self._clock() < self._paused_until

    def _pause(self) -> None:
        seconds = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(self._failures, 10))
        self._failures += 1
        self._paused_until = self._clock() + seconds

    def _identify(self, request: httpx2.Request) -> None:
        if self._token:
            request.headers["Authorization"] = f"Bearer {self._token}"

    async def _current(self, instead_of: int = 0) -> int:
        """
        Return the number of the current credential, after a new one if the old one is of no use.

        After a failure, there is no new one for a while. Then a credential that is refused stays, so
        that the refusal is what is told.
        """
        async with self._lock:
            unusable = self._expires is None or time.time() >= self._expires
            if unusable or instead_of == self._runs:
                if not self._pauses:
                    await self._run()
                elif self._problem is not None:
                    raise KubeconfigError(str(self._problem))
            return self._runs

    async def _run(self) -> None:
        self._problem = None
        try:
            await self._renew()
        except KubeconfigError as error:
            self._problem = error
            self._pause()
            raise
        self._runs += 1

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
