"""The kubelet for tests that are plain functions. Its loop runs in a separate thread."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from types import TracebackType
from typing import Self, TypeVar

from anyio.from_thread import BlockingPortal, start_blocking_portal

from lifecycle.testing import validation
from lifecycle.testing.events import Event
from lifecycle.testing.kubelet import Kubelet
from lifecycle.testing.pods import Phase, Pod
from lifecycle.testing.specs import PodSpec
from lifecycle.testing.termination import Deletion, Ending

T = TypeVar("T")


class BlockingDeletion:
    """A running deletion. `wait` returns its record."""

    def __init__(self, deletion: Deletion, portal: BlockingPortal) -> None:
        self.record = deletion
        self._portal = portal

    def wait(self, timeout: float = 60.0) -> Deletion:
        """
        Wait for the end of the deletion.

        Raises:
            TimeoutError: The deletion did not end in time.
        """

        async def over() -> Deletion:
            async with asyncio.timeout(timeout):
                return await self.record

        return self._portal.call(over)


class BlockingPod:
    """A `Pod` whose methods block until they are done."""

    def __init__(self, pod: Pod, portal: BlockingPortal) -> None:
        self._pod = pod
        self._portal = portal

    @property
    def name(self) -> str:
        """The name of the pod."""
        return self._pod.name

    @property
    def uid(self) -> str:
        """The unique id of the pod."""
        return self._pod.uid

    @property
    def ip(self) -> str:
        """The IP address of the pod."""
        return self._pod.ip

    @property
    def ports(self) -> dict[str, int]:
        """The named ports of the pod."""
        return self._pod.ports

    @property
    def pid(self) -> int | None:
        """The process id of the container, or None while it does not run."""
        return self._pod.pid

    @property
    def phase(self) -> Phase:
        """`Pending`, `Running`, `Succeeded` or `Failed`."""
        return self._pod.phase

    @property
    def started(self) -> bool:
        """True once the startup probe of the running container has passed."""
        return self._pod.started

    @property
    def ready(self) -> bool:
        """True while the container runs, has passed startup, and its readiness is true."""
        return self._pod.ready

    @property
    def finished(self) -> bool:
        """True when the pod cannot change any more."""
        return self._pod.finished

    @property
    def restart_count(self) -> int:
        """How often the container has been restarted."""
        return self._pod.restart_count

    @property
    def exit_codes(self) -> list[int]:
        """The exit code of each end of the container: 128 + the signal that killed it."""
        return list(self._pod.exit_codes)

    @property
    def endings(self) -> list[Ending]:
        """A record of each time the kubelet has ended the container."""
        return list(self._pod.endings)

    @property
    def events(self) -> list[Event]:
        """The events of the kubelet, oldest first."""
        return list(self._pod.events)

    @property
    def deletion(self) -> Deletion | None:
        """The deletion of the pod, or None before that."""
        return self._pod.deletion

    @property
    def output(self) -> str:
        """The output of the container (stdout and stderr), including restarts."""
        return self._pod.output

    def port(self, name: int | str) -> int:
        """Return the number of a port."""
        return self._pod.port(name)

    def said(self, reason: str = "") -> list[str]:
        """Return the messages of all events, or of the events with the given reason."""
        return self._pod.said(reason)

    def describe(self) -> str:
        """Return a short version of what `kubectl describe` and `kubectl logs` print."""
        return self._pod.describe()

    def subscribe(self, callback: Callable[[], None]) -> None:
        """Call a function after every change, on the kubelet's thread."""
        self._portal.call(self._pod.subscribe, callback)

    def until(self, predicate: Callable[[Pod], object], timeout: float = 10.0) -> None:
        """Wait until a condition on the pod is true. Raises TimeoutError."""
        self._portal.call(self._pod.until, predicate, timeout)

    def until_ready(self, timeout: float = 30.0) -> None:
        """Wait until the pod is ready. Raises TimeoutError or `PodEnded`."""
        self._portal.call(self._pod.until_ready, timeout)

    def until_finished(self, timeout: float = 30.0) -> None:
        """Wait until the pod has ended. Raises TimeoutError."""
        self._portal.call(self._pod.until_finished, timeout)

    def delete(self, grace: float | None = None) -> BlockingDeletion:
        """Start to delete the pod, and return at once. `.wait()` of the result waits for it."""
        # In a tuple, because the portal awaits every awaitable result.
        (deletion,) = self._portal.call(lambda: (self._pod.delete(grace),))
        return BlockingDeletion(deletion, self._portal)


class BlockingKubelet:
    """
    A `Kubelet` for plain functions. The context manager ends every process that it started.

    Args:
        kubelet: A kubelet that is not entered yet, or None for a new one with the defaults.

    Raises:
        TypeError: The argument is not a `Kubelet`.
    """

    def __init__(self, kubelet: Kubelet | None = None) -> None:
        if kubelet is not None:
            validation.kind("BlockingKubelet.kubelet", kubelet, Kubelet)
        self._kubelet = kubelet or Kubelet()
        self._stack = contextlib.ExitStack()
        self._portal: BlockingPortal | None = None

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self._portal = stack.enter_context(start_blocking_portal("asyncio"))
            stack.enter_context(self._portal.wrap_async_context_manager(self._kubelet))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._portal = None
        self._stack.close()

    def run(self, spec: PodSpec) -> BlockingPod:
        """
        Run a pod. Returns when its container was started for the first time, or could not be
        started.

        Raises:
            RuntimeError: The kubelet is not entered.
        """
        if self._portal is None:
            raise RuntimeError(
                "a kubelet runs pods only inside `with BlockingKubelet() as kubelet:`"
            )
        return BlockingPod(self._portal.call(self._kubelet.run, spec), self._portal)
