"""The requests of this pod to the API server, with a name for each failure."""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
from collections.abc import AsyncGenerator, Iterator, Mapping
from typing import Any, Final, Self

import httpx2
from lightkube import ApiError, AsyncClient, KubeConfig
from lightkube.core.exceptions import ConfigError
from lightkube.resources.core_v1 import Event, Pod, PodStatus
from lightkube.resources.discovery_v1 import EndpointSlice
from lightkube.types import PatchType

from lifecycle_kubernetes.errors import ApiServerError
from lifecycle_kubernetes.layout import Object
from lifecycle_kubernetes.place import Place

TIMEOUT: Final = httpx2.Timeout(5.0, connect=3.0)
"""The time limits of one request. pod-lifecycle tries again."""
PACE: Final = 0.5
"""The shortest time between two starts of a watch, in seconds."""
SERVICE_NAME: Final = "kubernetes.io/service-name"

_STATES: Final = {
    401: "unauthorized",
    403: "forbidden",
    404: "not found",
    409: "conflict",
    410: "expired",
    422: "invalid",
    429: "throttled",
}


class Silence(Exception):
    """A watch has been silent for too long."""


@contextlib.contextmanager
def named_errors() -> Iterator[None]:
    """
    Turn each failure into an `ApiServerError` with a name.

    Raises:
        ApiServerError: The block has raised.
    """
    try:
        yield
    except httpx2.HTTPStatusError as error:
        code = _code(error)
        state = _STATES.get(code, "broken" if code >= 500 else f"refused ({code})")
        raise ApiServerError(state, str(error).splitlines()[0]) from error
    except (httpx2.ConnectTimeout, httpx2.ConnectError) as error:
        state = "untrusted" if _is_untrusted(error) else "unreachable"
        raise ApiServerError(state, str(error) or "no connection") from error
    except httpx2.TimeoutException as error:
        raise ApiServerError("slow", f"no answer for {TIMEOUT.read:g} s") from error
    except httpx2.HTTPError as error:
        raise ApiServerError("connection lost", str(error) or type(error).__name__) from error
    except (ConfigError, OSError) as error:
        raise ApiServerError("no token", str(error)) from error
    except (ValueError, KeyError, TypeError) as error:  # not an API server
        raise ApiServerError("broken", f"the answer cannot be read: {error!r}") from error


def _code(error: httpx2.HTTPStatusError) -> int:
    if isinstance(error, ApiError) and error.status.code is not None:
        return error.status.code
    response: httpx2.Response | None = error.response
    return response.status_code if response is not None else 500


def _is_untrusted(error: BaseException | None) -> bool:
    while error is not None and not isinstance(error, ssl.SSLCertVerificationError):
        error = error.__cause__ or error.__context__
    return error is not None


class _Transport(httpx2.AsyncHTTPTransport):
    """
    The transport for a pod. It handles rotated certificates, and old ones as in many clusters.

    When a watch ends without notice, lightkube starts it again at once. The transport delays this.
    """

    def __init__(self, ca: str) -> None:
        self._ca = ca
        self._trust = ssl.create_default_context(cafile=ca)
        # Python 3.13 and later require extensions that the certificates of EKS do not have.
        # The chain and the name are still checked.
        self._trust.verify_flags &= ~ssl.VERIFY_X509_STRICT
        unlimited = httpx2.Limits(max_connections=None)  # each watch has its own connection
        super().__init__(verify=self._trust, trust_env=False, limits=unlimited)
        self._begun: dict[str, float] = {}

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if "watch" in request.url.params:
            now = asyncio.get_running_loop().time
            which = str(request.url.copy_remove_param("resourceVersion"))
            await asyncio.sleep(self._begun.get(which, 0.0) + PACE - now())
            self._begun[which] = now()
        try:
            return await super().handle_async_request(request)
        except httpx2.ConnectError as error:
            if _is_untrusted(error):
                self._trust.load_verify_locations(self._ca)  # for the next request
            raise


class ApiServer:
    """
    The requests about one pod. Every method may raise `ApiServerError`.

    Args:
        place: The pod.
        idle: Seconds for which a watch may be silent.
    """

    def __init__(self, place: Place, idle: float) -> None:
        config = KubeConfig.from_service_account(place.account)
        self._place = place
        self._idle = idle
        # A proxy of the environment is for addresses outside of the cluster.
        self._client = AsyncClient(
            config,
            namespace=place.namespace,
            timeout=TIMEOUT,
            lazy=False,
            trust_env=False,
            transport=_Transport(os.path.join(place.account, "ca.crt")),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()

    async def get(self) -> Object:
        """Return this pod."""
        with named_errors():
            return (await self._client.get(Pod, self._place.pod)).to_dict()

    async def patch_status(self, patch: Mapping[str, Any]) -> Object:
        """Patch the status and the annotations of this pod. Returns the new pod."""
        with named_errors():
            patched = await self._client.patch(
                PodStatus, self._place.pod, dict(patch), patch_type=PatchType.STRATEGIC
            )
            return patched.to_dict()

    async def create_event(self, event: Object) -> None:
        """Create an Event in the namespace of this pod. It may exist, from an abandoned request."""
        try:
            with named_errors():
                made: Any = Event.from_dict(event)
                await self._client.create(made)
        except ApiServerError as error:
            if error.state != "conflict":
                raise

    async def watch_pod(self, version: str) -> AsyncGenerator[tuple[str, Object], None]:
        """
        Yield each change of this pod: the kind of the change, and the pod.

        Raises:
            Silence: Nothing has come for a while, so the current state must be requested.
        """
        changes = self._client.watch(
            Pod,
            fields={"metadata.name": self._place.pod},
            resource_version=version,
            server_timeout=self._server_timeout,
        )
        async for kind, pod in self._unless_silent(changes):
            yield kind, pod.to_dict()

    async def list_slices(self, service: str) -> tuple[str, list[Object]]:
        """Return the EndpointSlices of a Service, and the version for a watch."""
        with named_errors():
            listed = self._client.list(EndpointSlice, labels={SERVICE_NAME: service})
            slices = [each.to_dict() async for each in listed]
            return listed.resourceVersion, slices

    async def watch_slices(
        self, service: str, version: str
    ) -> AsyncGenerator[tuple[str, Object], None]:
        """Yield each change of the EndpointSlices of a Service. Otherwise as `watch_pod`."""
        changes = self._client.watch(
            EndpointSlice,
            labels={SERVICE_NAME: service},
            resource_version=version,
            server_timeout=self._server_timeout,
        )
        async for kind, piece in self._unless_silent(changes):
            yield kind, piece.to_dict()

    @property
    def _server_timeout(self) -> int:
        # For the server, in case that this process disappears. The own time limit is shorter.
        return int(self._idle) + 5

    async def _unless_silent(self, changes: Any) -> AsyncGenerator[tuple[str, Any], None]:
        changes = aiter(changes)
        try:
            while True:
                with named_errors():
                    try:
                        change = await asyncio.wait_for(anext(changes), self._idle)
                    except StopAsyncIteration:
                        return
                    except TimeoutError:
                        raise Silence from None
                yield change
        finally:
            await changes.aclose()
