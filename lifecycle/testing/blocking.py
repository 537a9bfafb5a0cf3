"""The same kubelet for tests that are plain functions: its loop runs in a thread of its own."""

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
    """A deletion under way; `wait` gives the record of it."""

    def __init__(self, deletion: Deletion, portal: BlockingPortal) -> None:
        self.record = deletion
        self._portal = portal

    def wait(self, timeout: float = 60.0) -> Deletion:
        """
        Wait for its end.

        Raises:
            TimeoutError: Not in time.
        """

        async def over() -> Deletion:
            async with asyncio.timeout(timeout):
                return await self.record

        return self._portal.call(over)


class BlockingPod:
    """A `Pod` whose methods return when it is done."""

    def __init__(self, pod: Pod, portal: BlockingPortal) -> None:
        self._pod = pod
        self._portal = portal

    @property
    def name(self) -> str:
        """Its name."""
        return self._pod.name

    @property
    def uid(self) -> str:
        """Its own."""
        return self._pod.uid

    @property
    def ip(self) -> str:
        """Its address."""
        return self._pod.ip

    @property
    def ports(self) -> dict[str, int]:
        """Its named ports."""
        return self._pod.ports

    @property
    def pid(self) -> int | None:
        """The process id of its container, while it runs."""
        return self._pod.pid

    @property
    def phase(self) -> Phase:
        """`Pending`, `Running`, `Succeeded` or `Failed`."""
        return self._pod.phase

    @property
    def started(self) -> bool:
        """True once startup has passed, of the container that runs now."""
        return self._pod.started

    @property
    def ready(self) -> bool:
        """True while its container runs, has passed startup, and says that it is ready."""
        return self._pod.ready

    @property
    def finished(self) -> bool:
        """True when nothing more will happen to it."""
        return self._pod.finished

    @property
    def restart_count(self) -> int:
        """How often its container has been started again."""
        return self._pod.restart_count

    @property
    def exit_codes(self) -> list[int]:
        """One for each end of its container: 128 + the signal that ended it."""
        return list(self._pod.exit_codes)

    @property
    def endings(self) -> list[Ending]:
        """How each container that the kubelet ended was ended."""
        return list(self._pod.endings)

    @property
    def events(self) -> list[Event]:
        """What the kubelet said, oldest first."""
        return list(self._pod.events)

    @property
    def deletion(self) -> Deletion | None:
        """Once it is being deleted."""
        return self._pod.deletion

    @property
    def output(self) -> str:
        """What its container has written to stdout and stderr, restarts included."""
        return self._pod.output

    def port(self, name: int | str) -> int:
        """Return the number of a port."""
        return self._pod.port(name)

    def said(self, reason: str = "") -> list[str]:
        """Return the messages of its events, or of those with a reason."""
        return self._pod.said(reason)

    def describe(self) -> str:
        """Return what `kubectl describe` and `kubectl logs` would show, in short."""
        return self._pod.describe()

    def subscribe(self, callback: Callable[[], None]) -> None:
        """Have a function called after every change, on the kubelet's thread."""
        self._portal.call(self._pod.subscribe, callback)

    def until(self, predicate: Callable[[Pod], object], timeout: float = 10.0) -> None:
        """Wait until something is true of it, or raise TimeoutError."""
        self._portal.call(self._pod.until, predicate, timeout)

    def until_ready(self, timeout: float = 30.0) -> None:
        """Wait until it is ready, or raise TimeoutError or `PodEnded`."""
        self._portal.call(self._pod.until_ready, timeout)

    def until_finished(self, timeout: float = 30.0) -> None:
        """Wait until it has ended, or raise TimeoutError."""
        self._portal.call(self._pod.until_finished, timeout)

    def delete(self, grace: float | None = None) -> BlockingDeletion:
        """Delete it: returns at once; `.wait()` what it returns for the end."""
        # In a tuple: the portal would await what can be awaited.
        (deletion,) = self._portal.call(lambda: (self._pod.delete(grace),))
        return BlockingDeletion(deletion, self._portal)


class BlockingKubelet:
    """
    A `Kubelet` for plain functions; a context manager that leaves no process behind.

    Args:
        kubelet: One that is not entered yet; a new one with the defaults if it is None.

    Raises:
        TypeError: It is not a `Kubelet`.
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
        Run a pod; returns when its container has been started for the first time, or failed to.

        Raises:
            RuntimeError: The kubelet is not entered.
        """
        if self._portal is None:
            raise RuntimeError("a kubelet runs pods inside `with BlockingKubelet() as kubelet:`")
        return BlockingPod(self._portal.call(self._kubelet.run, spec), self._portal)
