"""Whether clients can find this pod in the EndpointSlices of a Service. For information only."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final

from lifecycle_kubernetes.backoff import Backoff
from lifecycle_kubernetes.errors import ApiServerError

if TYPE_CHECKING:
    from lifecycle_kubernetes.api import ApiServer

FIRST: Final = 0.5
"""Seconds before the first retry."""


def has_ready(piece: Mapping[str, Any], pod: str) -> bool:
    """Return True if a pod is in an EndpointSlice, and is ready."""
    return any(
        (each.get("targetRef") or {}).get("name") == pod
        # A missing condition means ready (API reference of Kubernetes).
        and (each.get("conditions") or {}).get("ready") is not False
        for each in piece.get("endpoints") or ()
    )


class Visibility:
    """
    The visibility of one pod in one Service.

    Args:
        service: The name of the Service.
        pod: The name of the pod.
    """

    def __init__(self, service: str, pod: str) -> None:
        self._service = service
        self._pod = pod
        self._version = ""
        self._ready: dict[str, bool] = {}
        self._visible: bool | None = None
        self._expected: bool | None = None
        self._since = 0.0
        self._after: float | None = None
        self._reason = "no answer yet"

    def expect(self, *, visible: bool) -> None:
        """Measure the time from now until the pod is visible or not. Later changes do not count."""
        self._expected, self._since, self._after = visible, time.monotonic(), None

    def describe(self) -> dict[str, object]:
        """Return the details. `visible` is True, False, or None if it is unknown."""
        told: dict[str, object] = {"visible": self._visible}
        if self._visible is None:
            told["visible_reason"] = self._reason
        elif self._after is not None:
            told["visible_after"] = round(self._after, 3)
        return told

    async def follow(self, api: ApiServer) -> None:
        """Watch forever. `describe` shows errors."""
        from lifecycle_kubernetes.api import Silence

        backoff = Backoff(FIRST)
        while True:
            try:
                if not self._version:
                    self._version, slices = await api.list_slices(self._service)
                    self._ready = {each["metadata"]["name"]: self._sees(each) for each in slices}
                    self._conclude()
                    backoff.reset()
                await self._watch(api)
            except Silence:
                pass  # continue at the last version, because the connection may be dead
            except ApiServerError as error:
                self._version = ""
                if error.state != "expired":
                    self._visible, self._reason = None, str(error)
                await backoff.pause()

    async def _watch(self, api: ApiServer) -> None:
        async with aclosing(api.watch_slices(self._service, self._version)) as changes:
            async for kind, piece in changes:
                self._version = piece["metadata"]["resourceVersion"]
                self._ready[piece["metadata"]["name"]] = kind != "DELETED" and self._sees(piece)
                self._conclude()

    def _sees(self, piece: Mapping[str, Any]) -> bool:
        return has_ready(piece, self._pod)

    def _conclude(self) -> None:
        visible = any(self._ready.values())
        if visible is self._visible:
            return
        self._visible = visible
        if visible is self._expected and self._after is None:
            self._after = time.monotonic() - self._since
