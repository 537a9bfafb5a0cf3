"""The kubelet, which owns its pods and all their processes."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from types import TracebackType
from typing import Final, Self

from lifecycle.testing import validation
from lifecycle.testing.crash_loop import FIRST, LONGEST
from lifecycle.testing.guard import Guard
from lifecycle.testing.pods import Node, Pod
from lifecycle.testing.specs import PodSpec

VERSION: Final = "1.34"


class Kubelet:
    """
    Runs pods on this machine. It is an async context manager.

    At the end, no process is left, however this process ends.

    Args:
        version: The version in its user agents, for example `kube-probe/1.34`.
        back_off: Seconds before a container that keeps crashing is restarted for the second time.
            The first restart has no delay. Each later delay is twice as long.
        longest_back_off: The longest delay in seconds.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: A time is negative or not finite, or the version cannot be sent.
    """

    def __init__(
        self,
        *,
        version: str = VERSION,
        back_off: float = FIRST,
        longest_back_off: float = LONGEST,
    ) -> None:
        validation.version("Kubelet.version", version)
        validation.number("Kubelet.back_off", back_off)
        validation.number("Kubelet.longest_back_off", longest_back_off)
        self._version = version
        self._back_off = back_off
        self._longest = longest_back_off
        self._stack = contextlib.AsyncExitStack()
        self._node: Node | None = None
        self.pods: list[Pod] = []

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="lifecycle-kubelet-"))
            guard = await Guard.start()
            stack.push_async_callback(guard.close)
            self._node = Node(self._version, folder, self._back_off, self._longest, guard)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._node = None
        try:
            await asyncio.gather(*(pod.close() for pod in self.pods))
        finally:
            await self._stack.aclose()

    async def run(self, spec: PodSpec) -> Pod:
        """
        Run a pod. Returns when its container was started for the first time, or could not be
        started.

        Raises:
            RuntimeError: The kubelet is not entered.
        """
        if self._node is None:
            raise RuntimeError("a kubelet runs pods only inside `async with Kubelet() as kubelet:`")
        pod = Pod(spec, self._node)
        self.pods.append(pod)
        await pod.until(lambda pod: pod.running or pod.exit_codes, 30.0)
        return pod
