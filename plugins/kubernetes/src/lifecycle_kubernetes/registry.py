"""
The registry: the readiness gate of this pod.

Rules of this file:

1. The pod has one condition and one annotation for any number of services. One writer writes the
   current set of services, and one watch serves all registrations.
2. The values of an earlier container of this pod are removed before anything is written.
3. The code here never waits for an API server that does not answer. It raises an error, and
   pod-lifecycle tries again.
4. An acknowledged state stays. If an abandoned request arrives late, its effect is undone.
5. Each patch also has the newest report about the app, see `reporter.py`. A report never delays
   a patch.
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
from lifecycle_kubernetes.place import Options, Place
from lifecycle_kubernetes.reporter import Reporter
from lifecycle_kubernetes.visibility import Visibility
from lifecycle_kubernetes.watch import PodWatch
from lifecycle_kubernetes.writer import INVALID, Instances, Writer

if TYPE_CHECKING:
    from lifecycle_kubernetes.api import ApiServer


class PodRegistry(lifecycle.Registry):
    """
    Registers by the condition of the readiness gate, together with the annotation.

    Args:
        life: The `Lifecycle`. Its settings are compared with the spec of the pod.
        place: This pod.
        options: The options of the plugin.
    """

    name = "kubernetes"

    def __init__(self, life: lifecycle.Lifecycle, place: Place, options: Options) -> None:
        self._life = life
        self._place = place
        self._idle = options.idle
        self._writer = Writer(self._write)
        self._reporter = Reporter(life, options, self._is_about_to_write)
        self._stands: bool | None = None
        self._doubtful = False
        self._moment = 0.0
        self._spec: Mapping[str, Any] = {}
        self._uid = ""
        self._warned: set[str] = set()
        self._preparing = asyncio.Lock()
        self._visible: dict[str, Visibility] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._api = await asyncio.to_thread(self._connect)
        self._reporter.open()
        self._start(self._prepare_soon())
        self._start(self._writer.run())
        return self

    def _connect(self) -> ApiServer:
        # The import of lightkube takes 0.1 s, which must not delay a probe.
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
        try:
            await self._reporter.close()
        finally:  # also if the time for closing is over
            await asyncio.wait(left, timeout=0.2)
            await self._api.__aexit__()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.create_task(work))

    async def _prepare_soon(self) -> None:
        backoff, told = Backoff(), ""
        while not self._uid:
            try:
                await self._prepare()
            except ApiServerError as error:
                if error.state != told:  # an app without the Role may run for months
                    told = error.state
                    self._life.log.info("kubernetes", pod=self._place.pod, reason=str(error))
                await backoff.pause()

    async def _prepare(self) -> None:
        """Read this pod once, and remove the values of an earlier container."""
        async with self._preparing:
            if self._uid:
                return
            pod = await self._api.get()
            uid = pod["metadata"]["uid"]
            with suppress(lifecycle.ConfigError):  # reported by `_compare`
                self._life.config.take_grace_period(
                    pod["spec"].get("terminationGracePeriodSeconds", 30)
                )
            if is_set(pod) or is_annotated(pod):
                pod = await self._patch(uid, {}, time.time())
                self._life.log.info(
                    "kubernetes", cleared="the registration of an earlier container"
                )
            self._watch = PodWatch(self._api, uid, self._see)
            self._stands, self._spec = is_set(pod), pod["spec"]
            self._uid = uid
            self._compare()
            self._reporter.begin(self._api, pod)

    def _compare(self) -> None:
        try:
            sentences = disagreements(self._spec, self._life.config)
        except (LookupError, TypeError, AttributeError) as error:
            # An unknown form of the spec must not keep the pod out of traffic.
            sentences = [f"the spec of the pod cannot be compared with the settings: {error!r}"]
        for sentence in sentences:
            self._warn(sentence)

    def _compare_port(self, instance: lifecycle.Instance) -> None:
        if sentence := undeclared_port(self._spec, instance):
            self._warn(sentence)

    def _warn(self, sentence: str) -> None:
        if sentence in self._warned:
            return
        self._warned.add(sentence)
        self._life.log.warning(
            "manifest",
            pod=self._place.pod,
            problem=sentence,
            see=lifecycle.LifecycleError(see="errors.md#manifest-differs").see,
        )

    async def register(self, instance: lifecycle.Instance) -> None:
        if self._writer.wanted.get(instance.service) != instance:
            self._look_out(instance).expect(visible=True)
        try:
            await self._writer.put(instance.service, instance)
        except ApiServerError as error:
            if error.state == INVALID:
                raise lifecycle.RegistrationRefused(
                    str(error), see="errors.md#api-server-failed"
                ) from error
            raise
        self._compare_port(instance)

    async def deregister(self, instance: lifecycle.Instance) -> None:
        if instance.service in self._writer.wanted:
            self._look_out(instance).expect(visible=False)
        try:
            await self._writer.put(instance.service, None)
        except ApiServerError as error:
            if error.state == "not found":
                return  # without the pod, nothing is registered
            if (
                error.state in ("conflict", INVALID)  # INVALID, if the uid is that of another pod
                and (await self._api.get())["metadata"]["uid"] != self._uid
            ):
                return  # another pod has the name of this one
            raise
        self._watch.start()

    async def _write(self, wanted: Instances) -> None:
        await self._prepare()
        if bool(wanted) is not self._stands:
            self._moment = time.time()
        try:
            pod = await self._patch(self._uid, wanted, self._moment)
        finally:
            if self._doubtful or self._watch.requests:
                self._doubtful = False
                self._watch.restart()
        self._stands = is_set(pod)
        if not is_set(pod) == is_annotated(pod) == bool(wanted):
            raise ApiServerError("not kept", "the API server has ignored a part of the patch")

    async def _patch(self, uid: str, wanted: Instances, at: float) -> Object:
        instances = wanted.values()
        try:
            with self._reporter.riding() as status:
                return await self._api.patch_status(patch(uid, instances, at, status))
        except ApiServerError as error:
            if status is None or error.state != INVALID:
                raise
        # Perhaps only the report is refused, for example by a policy for annotations.
        return await self._api.patch_status(patch(uid, instances, at))

    def _is_about_to_write(self) -> bool:
        return self._writer.busy or (self._life.draining and bool(self._writer.wanted))

    def look_soon(self) -> None:
        """Report the state of the app, because it may have changed. From any thread."""
        self._reporter.look_soon()

    def _see(self, pod: Object, fresh: bool) -> bool:  # noqa: FBT001 - the signature of the watch
        self._stands = is_set(pod)
        ours = pod["metadata"].get("uid") == self._uid
        stray = ours and not self._writer.wanted and (is_set(pod) or is_annotated(pod))
        if stray and fresh and self._writer.busy:
            self._doubtful = True  # this may be the state before the request that is running
        elif stray and fresh:
            self._writer.again()  # a late request, or another program
        return stray and not fresh  # an event of a watch may be older than the last write

    async def keep(self, instance: lifecycle.Instance) -> str:  # noqa: ARG002 - one pod for all
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
