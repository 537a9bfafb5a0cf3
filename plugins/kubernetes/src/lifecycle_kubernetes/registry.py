"""
The registry: this pod's own readiness gate.

Rules of this file:

1. The pod has one condition and one annotation, whatever the number of services: one writer
   writes all of what is registered now, and one watch tells all who keep it.
2. What a previous container of this pod has left is cleared before anything is written.
3. Nothing here waits for an API server that is away: it raises, and the core tries again.
4. What is acknowledged stays so: a request that was given up and arrives late is undone.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import lifecycle
from lifecycle_kubernetes.backoff import Backoff
from lifecycle_kubernetes.errors import ApiServerError
from lifecycle_kubernetes.layout import Object, is_annotated, is_set, patch
from lifecycle_kubernetes.manifest import disagreements, undeclared_port
from lifecycle_kubernetes.place import Place
from lifecycle_kubernetes.visibility import Visibility
from lifecycle_kubernetes.watch import PodWatch
from lifecycle_kubernetes.writer import INVALID, Instances, Writer

if TYPE_CHECKING:
    from lifecycle_kubernetes.api import ApiServer


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
        self._writer = Writer(self._write)
        self._stands: bool | None = None
        self._moment = 0.0
        self._spec: Mapping[str, Any] = {}
        self._uid = ""
        self._warned: set[str] = set()
        self._preparing = asyncio.Lock()
        self._visible: dict[str, Visibility] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._api = await asyncio.to_thread(self._connect)
        self._start(self._prepare_soon())
        self._start(self._writer.run())
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
        left = {*self._tasks, *(self._watch.close() if self._uid else ())}
        await asyncio.wait(left, timeout=0.2)
        await self._api.__aexit__()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.create_task(work))

    async def _prepare_soon(self) -> None:
        backoff = Backoff()
        while not self._uid:
            try:
                await self._prepare()
            except ApiServerError as error:
                self._life.log.info("kubernetes", pod=self._place.pod, reason=str(error))
                await backoff.pause()

    async def _prepare(self) -> None:
        """Read the own pod once, and clear what a container before this one has left."""
        async with self._preparing:
            if self._uid:
                return
            pod = await self._api.get()
            uid = pod["metadata"]["uid"]
            if is_set(pod) or is_annotated(pod):
                pod = await self._api.patch_status(patch(uid, (), time.time()))
                self._life.log.info(
                    "kubernetes", cleared="what a previous container had registered"
                )
            self._watch = PodWatch(self._api, uid, self._see)
            self._stands, self._spec = is_set(pod), pod["spec"]
            self._uid = uid
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
        if self._writer.wanted.get(instance.service) != instance:
            self._look_out(instance).expect(visible=True)
        try:
            await self._writer.put(instance.service, instance)
        except ApiServerError as error:
            if error.state == INVALID:
                raise lifecycle.RegistrationRefused(str(error)) from error
            raise
        self._compare_port(instance)

    async def deregister(self, instance: lifecycle.Instance) -> None:
        if instance.service in self._writer.wanted:
            self._look_out(instance).expect(visible=False)
        try:
            await self._writer.put(instance.service, None)
        except ApiServerError as error:
            if error.state == "not found":
                return  # with the pod everything is out
            if (
                error.state in ("conflict", INVALID)  # the second: our uid is not the pod's
                and (await self._api.get())["metadata"]["uid"] != self._uid
            ):
                return  # this pod is gone, and another one has its name
            raise
        self._watch.start()

    async def _write(self, wanted: Instances) -> None:
        await self._prepare()
        if bool(wanted) is not self._stands:
            self._moment = time.time()
        pod = await self._api.patch_status(patch(self._uid, wanted.values(), self._moment))
        self._stands = is_set(pod)
        if not is_set(pod) == is_annotated(pod) == bool(wanted):
            raise ApiServerError("not kept", "the API server has dropped a part of the patch")

    def _see(self, pod: Object, fresh: bool) -> bool:  # noqa: FBT001 - the watch's
        self._stands = is_set(pod)
        ours = pod["metadata"].get("uid") == self._uid
        stray = ours and not self._writer.wanted and (is_set(pod) or is_annotated(pod))
        if stray and fresh:
            self._writer.again()  # a request that came late, or somebody else
        return stray and not fresh  # what a watch tells may be older than what we wrote

    async def keep(self, instance: lifecycle.Instance) -> str:  # noqa: ARG002 - the pod is one for all
        return await self._watch.keep()

    def _look_out(self, instance: lifecycle.Instance) -> Visibility:
        if (visible := self._visible.get(instance.service)) is None:
            visible = Visibility(instance.service, self._place.pod)
            self._visible[instance.service] = visible
            self._start(visible.follow(self._api))
        return visible

    def describe(self, instance: lifecycle.Instance) -> Mapping[str, object]:
        visible = self._visible.get(instance.service)
        return {} if visible is None else visible.describe()
