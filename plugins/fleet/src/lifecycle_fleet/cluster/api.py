"""
The requests to the API server, with the rights of the person who asks.

lightkube reads the user and the cluster of a kubeconfig, and makes the TLS context. The requests are
our own, because the models of lightkube take ten times the memory, and its watches have no bookmarks.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, Self

import httpx2
import msgspec
from lightkube.config import client_adapter
from lightkube.config.models import User

from lifecycle_fleet.cluster.execution import Ran as Ran
from lifecycle_fleet.cluster.execution import execute
from lifecycle_fleet.cluster.failures import EXPIRED, failure, named_errors
from lifecycle_fleet.cluster.keepalive import notice_death
from lifecycle_fleet.cluster.kinds import ALL, POD, Kind
from lifecycle_fleet.cluster.kubeconfig import Access, load
from lifecycle_fleet.errors import ApiServerError

Object = dict[str, Any]

TIMEOUT: Final = httpx2.Timeout(10.0, connect=5.0)
"""The time limits of one request, in seconds."""
CHUNK: Final = 500
"""Objects of one page of a list, as kubectl asks for them."""
LOG: Final = 65536
"""Bytes of a log that are read."""
MERGE: Final = {"Content-Type": "application/merge-patch+json"}
BOOKMARK: Final = "BOOKMARK"


class Api:
    """
    The API server of one context. Every method may raise `ApiServerError`. An async context manager.

    Args:
        access: How to reach the cluster, and the user.

    Attributes:
        config: The context, its cluster and its user.
    """

    def __init__(self, access: Access) -> None:
        self.config = access.config
        with named_errors():
            verify = client_adapter.verify_cluster(
                access.config.cluster, access.config.user or User(), access.config.abs_file
            )
            # As kubectl, which does not require the extensions that Python 3.13 requires.
            verify.verify_flags &= ~ssl.VERIFY_X509_STRICT
            self._http = httpx2.AsyncClient(
                base_url=access.config.cluster.server,
                verify=verify,
                auth=_auth(access, verify),
                headers=list(access.headers),
                proxy=access.proxy or None,
                trust_env=False,  # the proxy of the environment is already chosen
                timeout=TIMEOUT,
                limits=httpx2.Limits(max_connections=None),
                follow_redirects=False,
                event_hooks={"request": [_named(access.server_name)], "response": [_read_refusal]},
            )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def get(self, kind: Kind, namespace: str, name: str) -> Object:
        """Return one object."""
        return await self._ask("GET", kind.path(namespace, name))

    async def list(
        self,
        kind: Kind,
        namespace: str = ALL,
        *,
        labels: str = "",
        fields: str = "",
        keep: Callable[[Object], Object] = lambda found: found,
        shape: type = dict,
    ) -> tuple[str, list[Object]]:
        """
        Return the version for a watch, and the objects of a kind.

        Args:
            kind: The kind.
            namespace: A namespace, or all.
            labels: A label selector, as kubectl takes it.
            fields: A field selector.
            keep: Returns the part of an object to keep. Only one page has whole objects at a time.
            shape: A TypedDict of a page. Names that it lacks are not decoded.
        """
        params = {"limit": str(CHUNK)} | _selectors(labels, fields)
        found: list[Object] = []
        while True:
            try:
                page = await self._ask("GET", kind.path(namespace), shape=shape, params=params)
            except ApiServerError as error:
                if error.state != EXPIRED or params.pop("continue", None) is None:
                    raise
                found.clear()  # the rest of this version is forgotten, so another one is listed
                params.pop("limit")
                continue
            with named_errors():
                found += [keep(each) for each in page.get("items") or ()]
                metadata = page["metadata"]
                onwards = metadata.get("continue")
            if not onwards:
                return str(metadata.get("resourceVersion", "")), found
            params["continue"] = onwards

    async def watch(
        self,
        kind: Kind,
        version: str,
        namespace: str = ALL,
        *,
        labels: str = "",
        fields: str = "",
        seconds: float = 300.0,
        on_open: Callable[[], object] = lambda: None,
    ) -> AsyncGenerator[tuple[str, Object], None]:
        """
        Yield each change after a version: `ADDED`, `MODIFIED`, `DELETED` or `BOOKMARK`, and the object.

        Args:
            kind: The kind.
            version: The version of a list, of an object or of a bookmark.
            namespace: A namespace, or all.
            labels: A label selector, as kubectl takes it.
            fields: A field selector.
            seconds: Seconds after which the server ends the watch. A watch that is silent for as long
                is `slow`.
            on_open: Called when the server has accepted the watch.
        """
        params = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(int(seconds)),
        }
        asked = self._http.stream(
            "GET",
            kind.path(namespace),
            params=params | _selectors(labels, fields),
            timeout=httpx2.Timeout(TIMEOUT.read, read=seconds + 5.0),
        )
        with named_errors(seconds):
            async with asked as answer:
                if answer.status_code >= 400:
                    raise failure(answer.status_code, (await answer.aread()).decode())
                notice_death(answer.extensions["network_stream"].get_extra_info("socket"))
                on_open()
                async for line in _lines(answer):
                    event = msgspec.json.decode(line)
                    if event["type"] == "ERROR":
                        status = event["object"]
                        raise failure(int(status.get("code", 500)), str(status.get("message", "")))
                    yield event["type"], event["object"]

    async def patch(
        self, kind: Kind, namespace: str, name: str, patch: Mapping[str, Any]
    ) -> Object:
        """Change one object by a merge patch, and return it."""
        return await self._ask(
            "PATCH", kind.path(namespace, name), content=msgspec.json.encode(patch), headers=MERGE
        )

    async def create(self, path: str, thing: Mapping[str, Any]) -> Object:
        """Create an object at a path, for example a review of a right. Returns the answer."""
        return await self._ask("POST", path, json=thing)

    async def execute(
        self, namespace: str, pod: str, container: str, command: Sequence[str], timeout: float
    ) -> Ran:
        """
        Run a command in a container, as `kubectl exec` does.

        Args:
            namespace: The namespace of the pod.
            pod: Its name.
            container: The name of the container.
            command: The words of the command.
            timeout: Seconds for the command.
        """
        return await execute(self._http, POD.path(namespace, pod), container, command, timeout)

    async def logs(
        self, namespace: str, pod: str, container: str, *, previous: bool = False, lines: int = 20
    ) -> str:
        """
        Return the last lines of the log of a container.

        Args:
            namespace: The namespace of the pod.
            pod: Its name.
            container: The name of the container.
            previous: Whether to read the log of its previous run.
            lines: The number of lines.
        """
        params = {"container": container, "tailLines": str(lines), "limitBytes": str(LOG)}
        if previous:
            params["previous"] = "true"
        with named_errors():
            answer = await self._http.request(
                "GET", f"{POD.path(namespace, pod)}/log", params=params
            )
            if answer.status_code >= 400:
                raise failure(answer.status_code, answer.text)
            return answer.text

    async def _ask(self, method: str, path: str, shape: type = dict, **given: Any) -> Object:
        with named_errors():
            answer = await self._http.request(method, path, **given)
            if answer.status_code >= 400:
                raise failure(answer.status_code, answer.text)
            return _decoded(answer.content, shape)


async def _lines(answer: httpx2.Response) -> AsyncGenerator[bytes, None]:
    """
    Yield each line of JSON.

    `aiter_lines` would also break a line at U+0085, which JSON may have inside of a text.
    """
    rest = bytearray()
    async for part in answer.aiter_bytes():
        *ends, last = part.split(b"\n")
        for each in ends:
            yield bytes(rest + each)
            rest.clear()
        rest += last


def _decoded(content: bytes, shape: type) -> Object:
    try:
        found: Object = msgspec.json.decode(content, type=shape)
    except msgspec.ValidationError:  # a future API server may have another type somewhere
        found = msgspec.json.decode(content, type=dict)
    return found


def _auth(access: Access, verify: ssl.SSLContext) -> httpx2.Auth | None:
    if access.plugin is None:
        return client_adapter.user_auth(access.config.user)
    from lifecycle_fleet.cluster.credential_plugin import PluginAuth

    cluster = {"server": access.config.cluster.server}
    return PluginAuth(access.plugin, cluster, verify)


def _named(server_name: str) -> Callable[[httpx2.Request], Awaitable[None]]:
    async def name(request: httpx2.Request) -> None:
        if server_name:
            request.extensions["sni_hostname"] = server_name

    return name


async def _read_refusal(answer: httpx2.Response) -> None:
    """Read the reason of a refusal, which is out of reach once a WebSocket is refused."""
    if answer.status_code >= 400:
        await answer.aread()


def _selectors(labels: str, fields: str) -> dict[str, str]:
    given = {"labelSelector": labels, "fieldSelector": fields}
    return {name: value for name, value in given.items() if value}


@asynccontextmanager
async def connected(kubeconfig: str, context: str) -> AsyncGenerator[Api, None]:
    """Connect to the API server of a context."""
    async with Api(load(kubeconfig, context)) as api:
        yield api
