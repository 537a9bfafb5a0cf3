"""
The registry: this pod's own readiness gate.

Rules of this file:

1. The pod has one condition and one annotation, whatever the number of services: what is
   written is always all of what is registered now, one writer at a time.
2. What a previous container of this pod has left is cleared before anything is written.
3. Nothing here waits for an API server that is away: it raises, and the core tries again.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Coroutine, Mapping
from contextlib import aclosing, suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

import lifecycle
from lifecycle_kubernetes.errors import ApiServerError
from lifecycle_kubernetes.layout import is_annotated, is_set, lost, patch
from lifecycle_kubernetes.manifest import disagreements, undeclared_port
from lifecycle_kubernetes.place import Place
from lifecycle_kubernetes.visibility import Visibility

if TYPE_CHECKING:
    from lifecycle_kubernetes.api import ApiServer

LONGEST: Final = 15.0
"""Seconds between two attempts to read the own pod, at most."""


class PodRegistry(lifecycle.Registry):
    """
    Registered = the condition of the readiness gate is true and the annotation is there.

    Args:
        life: The lifecycle, whose settings are compared with the pod's spec.
        place: Which pod this is.
        idle: Seconds of silence after which a watch is begun anew.
    """

    name = "kubernetes"

    def __init__(self, life: lifecycle.Lifecycle, place: Place, idle: float) -> None:
        self._life = life
        self._place = place
        self._idle = idle
        self._registered: dict[str, lifecycle.Instance] = {}
        self._since = 0.0
        self._spec: Mapping[str, Any] = {}
        self._uid = ""
        self._warned: set[str] = set()
        self._writing = asyncio.Lock()
        self._visible: dict[str, Visibility] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._api = await asyncio.to_thread(self._connect)
        self._start(self._prepare_soon())
        return self

    def _connect(self) -> ApiServer:
        # lightkube's import takes a tenth of a second, which no probe must wait for.
        from lifecycle_kubernetes.api import ApiServer

        return ApiServer(self._place, self._idle)

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=0.2)
        await self._api.__aexit__()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.create_task(work))

    async def _prepare_soon(self) -> None:
        pause = 0.1
        while not self._uid:
            try:
                async with self._writing:
                    await self._prepare()
            except ApiServerError as error:
                self._life.log.info("kubernetes", pod=self._place.pod, reason=str(error))
                await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - jitter
                pause = min(pause * 2, LONGEST)

    async def _prepare(self) -> None:
        """Read the own pod once, and clear what a container before this one has left."""
        if self._uid:
            return
        pod = await self._api.get()
        uid = pod["metadata"]["uid"]
        if is_set(pod) or is_annotated(pod):
            await self._api.patch_status(patch(uid, (), time.time()))
            self._life.log.info("kubernetes", cleared="what a previous container had registered")
        self._uid, self._spec = uid, pod["spec"]
        self._compare()

    def _compare(self) -> None:
        config, grace = self._life.config, self._spec.get("terminationGracePeriodSeconds", 30)
        with suppress(lifecycle.ConfigError):  # told below
            config.take_grace_period(grace)
        try:
            sentences = disagreements(self._spec, config)
        except (LookupError, TypeError, AttributeError) as error:
            # A spec of a form that we do not know must not keep the pod out.
            sentences = [f"it cannot be compared with the settings: {error!r}"]
        for sentence in sentences:
            self._warn(sentence)

    def _compare_port(self, instance: lifecycle.Instance) -> None:
        if sentence := undeclared_port(self._spec, instance):
            self._warn(sentence)

    def _warn(self, sentence: str) -> None:
        if sentence in self._warned:
            return
        self._warned.add(sentence)
        self._life.log.warning("manifest", pod=self._place.pod, problem=sentence)

    async def register(self, instance: lifecycle.Instance) -> None:
        self._watch_endpoint(instance)
        try:
            async with self._writing:
                await self._prepare()
                # Not before: what another one writes meanwhile must not have it, and fail by it.
                if self._registered.get(instance.service) != instance:
                    self._registered[instance.service] = instance
                    self._since = time.time()
                    self._compare_port(instance)
                await self._write()
        except ApiServerError as error:
            if error.state == "invalid":
                self._registered.pop(instance.service, None)
                raise lifecycle.RegistrationRefused(str(error)) from error
            raise

    async def deregister(self, instance: lifecycle.Instance) -> None:
        if self._registered.pop(instance.service, None) is not None:
            self._since = time.time()
        try:
            async with self._writing:
                await self._prepare()
                await self._write()
        except ApiServerError as error:
            if error.state == "not found":
                return  # with the pod everything is out
            if (
                error.state in ("conflict", "invalid")  # the second: our uid is not the pod's
                and (await self._api.get())["metadata"]["uid"] != self._uid
            ):
                return  # this pod is gone, and another one has its name
            raise

    async def _write(self) -> None:
        each = list(self._registered.values())
        pod = await self._api.patch_status(patch(self._uid, each, self._since))
        if not is_set(pod) == is_annotated(pod) == bool(each):
            raise ApiServerError("not kept", "the API server has dropped a part of the patch")

    async def keep(self, instance: lifecycle.Instance) -> str:  # noqa: ARG002 - the pod is one for all
        from lifecycle_kubernetes.api import Silence

        while True:
            pod = await self._api.get()
            if reason := lost(pod, self._uid):
                return reason
            version = pod["metadata"]["resourceVersion"]
            try:
                async with aclosing(self._api.watch_pod(version)) as changes:
                    async for kind, changed in changes:
                        if reason := lost(changed, self._uid):
                            return "the pod is deleted" if kind == "DELETED" else reason
            except Silence:
                pass  # nothing has happened, or the connection is dead: ask
            except ApiServerError as error:
                if error.state != "expired":
                    raise

    def _watch_endpoint(self, instance: lifecycle.Instance) -> None:
        if instance.service in self._visible:
            return
        self._visible[instance.service] = visible = Visibility(instance.service, self._place.pod)
        self._start(visible.follow(self._api))

    def describe(self, instance: lifecycle.Instance) -> Mapping[str, object]:
        visible = self._visible.get(instance.service)
        return {} if visible is None else visible.describe(self._since)
