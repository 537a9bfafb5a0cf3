"""
The requests to the API server, with the rights of the person who asks.

lightkube reads the kubeconfig, trusts and identifies, and runs commands in pods. Lists and watches
are requests of our own, because its models would take ten times the memory, and it asks for no
bookmarks.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple, Self

import httpx2
import msgspec
from lightkube import AsyncClient
from lightkube.config import client_adapter
from lightkube.config.kubeconfig import SingleConfig
from lightkube.config.models import User

from lifecycle_fleet.cluster.failures import failure, named_errors
from lifecycle_fleet.cluster.kinds import ALL, Kind

Object = dict[str, Any]

TIMEOUT: Final = httpx2.Timeout(10.0, connect=5.0)
"""The time limits of one request, in seconds."""
CHUNK: Final = 500
"""Objects of one page of a list, as kubectl asks for them."""
MERGE: Final = {"Content-Type": "application/merge-patch+json"}
BOOKMARK: Final = "BOOKMARK"


class Ran(NamedTuple):
    """A command that has run in a container."""

    code: int
    out: str
    err: str


class Api:
    """
    The API server of one context. Every method may raise `ApiServerError`. An async context manager.

    Args:
        config: The configuration of the context.
    """

    def __init__(self, config: SingleConfig) -> None:
        self.config = config._replace(user=config.user or User())
        params = client_adapter.ConnectionParams(timeout=TIMEOUT)
        with named_errors():
            found = params.httpx_params(self.config)
        # As kubectl, which does not require the extensions that Python 3.13 requires.
        found["verify"].verify_flags &= ~ssl.VERIFY_X509_STRICT
        self._http = httpx2.AsyncClient(
            **found, limits=httpx2.Limits(max_connections=None), follow_redirects=False
        )
        self._in_pods: AsyncClient | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()
        if self._in_pods is not None:
            await self._in_pods.close()

    async def get(self, kind: Kind, namespace: str, name: str) -> Object:
        """Return one object."""
        return await self._ask("GET", kind.path(namespace, name))

    async def list(
        self, kind: Kind, namespace: str = ALL, *, labels: str = "", fields: str = ""
    ) -> tuple[str, list[Object]]:
        """
        Return the version for a watch, and the objects of a kind.

        Args:
            kind: The kind.
            namespace: A namespace, or all.
            labels: A label selector, as kubectl takes it.
            fields: A field selector.
        """
        params = {"limit": str(CHUNK)} | _selectors(labels, fields)
        found: list[Object] = []
        while True:
            page = await self._ask("GET", kind.path(namespace), params=params)
            found += page.get("items") or ()
            metadata = page["metadata"]
            if not (onwards := metadata.get("continue")):
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
                async for line in answer.aiter_lines():
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
        with named_errors(timeout):
            if self._in_pods is None:
                self._in_pods = AsyncClient(self.config, timeout=TIMEOUT)
            done = await self._in_pods.exec(
                pod,
                namespace=namespace,
                container=container,
                command=list(command),
                stdout=True,
                stderr=True,
                timeout=timeout,
            )
        return Ran(done.exit_code, str(done.stdout or ""), str(done.stderr or ""))

    async def _ask(self, method: str, path: str, **given: Any) -> Object:
        with named_errors():
            answer = await self._http.request(method, path, **given)
            if answer.status_code >= 400:
                raise failure(answer.status_code, answer.text)
            return msgspec.json.decode(answer.content, type=dict)


def _selectors(labels: str, fields: str) -> dict[str, str]:
    given = {"labelSelector": labels, "fieldSelector": fields}
    return {name: value for name, value in given.items() if value}


@asynccontextmanager
async def connected(kubeconfig: str, context: str) -> AsyncGenerator[Api, None]:
    """Connect to the API server of a context."""
    from lifecycle_fleet.cluster.kubeconfig import load

    async with Api(load(kubeconfig, context)) as api:
        yield api
