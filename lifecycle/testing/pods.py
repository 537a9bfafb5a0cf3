"""
A pod: its state, and the loop that runs it from its start to its end.

Rules of this file:

1. The container is restarted according to the restart policy and the crash loop.
2. A step that has started is completed, as in the real kubelet. For example, a deletion waits for
   a running restart, and then ends the new container.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import uuid
from dataclasses import dataclass
from typing import Final, Literal

from lifecycle.contracts import Kind
from lifecycle.testing import validation
from lifecycle.testing.crash_loop import CrashLoop
from lifecycle.testing.environment import environment, expand
from lifecycle.testing.events import NORMAL, WARNING
from lifecycle.testing.guard import Guard
from lifecycle.testing.handlers import Place
from lifecycle.testing.observed import Observed
from lifecycle.testing.ports import free_port
from lifecycle.testing.prober import Run, Worker
from lifecycle.testing.processes import Process
from lifecycle.testing.specs import PodSpec
from lifecycle.testing.termination import SHORTEST_GRACE, Deletion, Ending, Killer

START_ERROR: Final = 128
"""The exit code of a container that could not be started."""

Phase = Literal["Pending", "Running", "Succeeded", "Failed"]


class PodEnded(Exception):
    """The pod has ended, so the condition can never become true."""


@dataclass(frozen=True)
class Node:
    """The values that a kubelet gives its pods: version, folder, back-off times, guard."""

    version: str
    folder: str
    first_back_off: float
    longest_back_off: float
    guard: Guard


class Pod(Observed):
    """
    One pod on a kubelet. Made by `Kubelet.run`.

    Attributes:
        spec: The spec of the pod.
        uid: The unique id of the pod.
        ports: The named ports. A port 0 is replaced by a free one.
        phase: `Pending`, `Running`, `Succeeded` or `Failed`.
        restart_count: How often the container has been restarted.
        exit_codes: The exit code of each end of the container: 128 + the signal that killed it.
        endings: A record of each time the kubelet has ended the container.
        deletion: The deletion of the pod, or None before that.
    """

    def __init__(self, spec: PodSpec, node: Node) -> None:
        super().__init__()
        self.spec = spec
        self.uid = str(uuid.uuid4())
        container = spec.container
        self.ports = {name: port or free_port() for name, port in container.ports.items()}
        self.phase: Phase = "Pending"
        self.restart_count = 0
        self.exit_codes: list[int] = []
        self.endings: list[Ending] = []
        self.deletion: Deletion | None = None
        env = environment(container, self.ports)
        self._place = Place(spec.ip, self.ports, env, node.version)
        self._log = os.path.join(node.folder, f"{spec.name}_{self.uid}.log")
        self._crash_loop = CrashLoop(node.first_back_off, node.longest_back_off)
        self._guard = node.guard
        self._run: Run | None = None
        self._last_exit: float | None = None
        self._last_output: str | None = None
        self._hooks: set[asyncio.Task[None]] = set()
        self._stop = asyncio.Event()
        self._terminating = False
        self._life = asyncio.create_task(self._live())

    # State

    @property
    def name(self) -> str:
        """The name of the pod."""
        return self.spec.name

    @property
    def ip(self) -> str:
        """The IP address of the pod."""
        return self.spec.ip

    @property
    def running(self) -> bool:
        """True while the container runs."""
        return self._run is not None

    @property
    def started(self) -> bool:
        """True once the startup probe of the running container has passed."""
        return self._run is not None and self._run.started

    @property
    def ready(self) -> bool:
        """True while the container runs, has passed startup, and its readiness is true."""
        return self._run is not None and self._run.started and self._run.ready

    @property
    def finished(self) -> bool:
        """True when the pod cannot change any more."""
        return self.phase in ("Succeeded", "Failed")

    @property
    def pid(self) -> int | None:
        """The process id of the container, or None while it does not run."""
        return self._run.process.pid if self._run is not None else None

    @property
    def output(self) -> str:
        """The output of the container (stdout and stderr), including restarts."""
        if self._last_output is not None:
            return self._last_output
        return self._read_log()

    def port(self, name: int | str) -> int:
        """Return the number of a port."""
        return self._place.port(name)

    def describe(self) -> str:
        """Return a short version of what `kubectl describe` and `kubectl logs` print."""
        lines = [f"pod {self.name}: {self.phase}, ready {self.ready}, exits {self.exit_codes}"]
        lines += [f"  {event}" for event in self.events[-20:]]
        lines += [f"  | {line}" for line in self.output.splitlines()[-20:]]
        return "\n".join(lines)

    # Actions

    async def until_ready(self, timeout: float = 30.0) -> None:
        """
        Wait until the pod is ready.

        Raises:
            TimeoutError: The pod was not ready in time. The message describes the pod.
            PodEnded: The pod has ended, and cannot become ready.
        """
        await self.until(lambda pod: pod.ready or pod.finished, timeout)
        if not self.ready:
            raise PodEnded(f"the pod has ended, and cannot become ready: {self.describe()}")

    async def until_finished(self, timeout: float = 30.0) -> None:
        """Wait until the pod has ended."""
        await self.until(lambda pod: pod.finished, timeout)

    def delete(self, grace: float | None = None) -> Deletion:
        """
        Start to delete the pod, and return at once. To wait for the end, `await` the result.

        Args:
            grace: Seconds, instead of the pod's grace period. A second call can make it shorter,
                but not longer. Once the kubelet ends the container, a further call changes nothing.

        Raises:
            TypeError: The grace period is not a number.
            ValueError: The grace period is negative or not finite.
        """
        if grace is not None:
            validation.number("delete: grace", grace)
        seconds = max(SHORTEST_GRACE, self.spec.grace_period if grace is None else grace)
        if self.deletion is None:
            self.deletion = Deletion(self._loop.time(), grace=seconds)
            self._stop.set()
            if self.finished:
                self.deletion.exit_code = self.exit_codes[-1]
                self.deletion.over.set()
            self._changed()
        elif not self._terminating:
            self.deletion.grace = min(seconds, self.deletion.grace)
        return self.deletion

    async def close(self) -> None:
        """Kill the container, and remove everything of the pod."""
        self._life.cancel()
        await asyncio.gather(self._life, return_exceptions=True)
        for hook in tuple(self._hooks):
            hook.cancel()
        await asyncio.gather(*self._hooks, return_exceptions=True)
        self._place.close()
        self._last_output = (
            self._read_log()
        )  # the folder is removed, but the output is still needed

    # The loop

    def _read_log(self) -> str:
        if not os.path.exists(self._log):
            return ""
        with open(self._log, encoding="utf-8", errors="replace") as log:
            return log.read()

    async def _live(self) -> None:
        for life in itertools.count():
            if life:
                self.restart_count += 1
            known_exit = self._last_exit
            killed = False
            process = await self._start()
            if process is not None:
                try:
                    killed = await self._supervise(process)
                finally:
                    await process.close()
            if not self._to_be_restarted(killed=killed):
                break
            # A killed container is restarted at once: only earlier exits count.
            if not await self._backed_off(known_exit if killed else self._last_exit):
                break
        self._finish()

    async def _start(self) -> Process | None:
        container = self.spec.container
        self._say(NORMAL, "Created", f"Created container: {container.name}")
        command = [expand(word, self._place.env) for word in container.command]
        try:
            process = await Process.start(
                command, self._place.env, container.cwd, self._log, self._guard
            )
        except (OSError, ValueError) as error:  # ValueError: a word with a NUL, for example
            self._say(WARNING, "Failed", f"Error: failed to start container: {error}")
            self._exited(START_ERROR)
            return None
        self._say(NORMAL, "Started", f"Started container {container.name}")
        self.phase = "Running"
        return process

    async def _supervise(self, process: Process) -> bool:
        """Probe a container, and end it if necessary. Returns whether a probe caused its end."""
        container = self.spec.container
        run = self._run = Run.of(container, process)
        self._changed()
        workers = [
            asyncio.create_task(self._worker(kind, run).work())
            for kind in Kind
            if getattr(container, kind.value) is not None
        ]
        killed = False
        try:
            await self._first(process.ended, run.failed, self._stop)
            if not process.ended.is_set() and not self._stop.is_set():
                killed = True
                await self._restart_unhealthy(run)
            elif not process.ended.is_set() and self.deletion is not None:
                await self._terminate(run, self.deletion)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
        self._run = None
        assert process.exit_code is not None
        self._exited(process.exit_code)
        return killed

    def _worker(self, kind: Kind, run: Run) -> Worker:
        spec = getattr(self.spec.container, kind.value)
        return Worker(
            kind,
            spec,
            run,
            self._place,
            lambda: self.deletion is not None,
            self._say,
            self._changed,
        )

    async def _restart_unhealthy(self, run: Run) -> None:
        assert run.unhealthy is not None
        probe = getattr(self.spec.container, run.unhealthy.value)
        own = probe.termination_grace_period
        message = f"Container {self.spec.container.name} failed {run.unhealthy.value} probe"
        if self.spec.restart_policy != "Never":
            message += ", will be restarted"
        self._say(NORMAL, "Killing", message)
        ending = Ending(self._loop.time())
        self.endings.append(ending)
        await self._kill(run, self.spec.grace_period if own is None else own, ending)

    async def _terminate(self, run: Run, deletion: Deletion) -> None:
        self._terminating = True
        self._say(NORMAL, "Killing", f"Stopping container {self.spec.container.name}")
        await self._kill(run, deletion.grace, deletion)

    async def _kill(self, run: Run, grace: float, ending: Ending) -> None:
        killer = Killer(self.spec.container, run.process, self._place, self._warn, self._hooks)
        await killer.kill(grace, ending)
        if run.process.exited_at is not None:
            ending.exited = run.process.exited_at - ending.decided_at
            ending.exit_code = run.process.exit_code

    def _to_be_restarted(self, *, killed: bool) -> bool:
        if self.deletion is not None and not killed:
            return False
        match self.spec.restart_policy:
            case "Always":
                return True
            case "OnFailure":
                return killed or self.exit_codes[-1] != 0
        return False

    async def _backed_off(self, exited_at: float | None) -> bool:
        """Wait for the back-off of the crash loop. Returns False if the pod is deleted first."""
        if exited_at is not None:
            until = self._crash_loop.wait_until(exited_at)
            if until > self._loop.time():
                name = f"{self.name}_default({self.uid})"
                container = self.spec.container.name
                text = f"Back-off restarting failed container {container} in pod {name}"
                self._say(WARNING, "BackOff", text)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout_at(until):
                        await self._stop.wait()
                        return False
            self._crash_loop.restarted(exited_at, self._loop.time())
        return True

    def _exited(self, code: int) -> None:
        self.exit_codes.append(code)
        self._last_exit = self._loop.time()
        self._changed()

    def _finish(self) -> None:
        self.phase = "Succeeded" if self.exit_codes[-1] == 0 else "Failed"
        self._place.close()
        if self.deletion is not None:
            self.deletion.exit_code = self.exit_codes[-1]
            self.deletion.over.set()
        self._changed()

    async def _first(self, *events: asyncio.Event) -> None:
        waiting = [asyncio.create_task(event.wait()) for event in events]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waiting:
                each.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
