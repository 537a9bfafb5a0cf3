"""The load generator, as the process of the rehearsal controls it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType
from typing import Any, Final, Self

from lifecycle.rehearsal.errors import CannotRehearse
from lifecycle.rehearsal.measuring.tally import Tally
from lifecycle.rehearsal.plan import Traffic
from lifecycle.testing import Pod
from lifecycle.testing.environment import handed_on

A_PROCESS_EACH: Final = 400.0
"""Requests per second on new connections that one process can send easily."""
LINE: Final = 1 << 24
MARGIN: Final = 10.0
"""Seconds after the longest possible answer at which a process that still runs is abandoned."""


def split(traffic: Traffic) -> list[Traffic]:
    """Split the traffic among processes."""
    wanted = traffic.processes or min(os.cpu_count() or 1, 1 + int(traffic.rate / A_PROCESS_EACH))
    count = max(1, min(wanted, traffic.clients))
    shares = []
    for number in range(count):
        clients = traffic.clients * (number + 1) // count - traffic.clients * number // count
        rate = traffic.rate * clients / traffic.clients
        seed = traffic.seed * 1000 + number
        shares.append(replace(traffic, clients=clients, rate=rate, seed=seed, processes=1))
    return shares


class LoadGenerator:
    """
    The processes of the load generator. The async context manager ends all of them.

    Args:
        traffic: The traffic of all processes together.
        changed: Called at every new report.

    Attributes:
        tally: The counts so far.
        processes: The number of processes.
    """

    def __init__(self, traffic: Traffic, changed: Callable[[], None] = lambda: None) -> None:
        self.tally = Tally()
        self._traffic = traffic
        self._changed = changed
        self._shares = split(traffic)
        self.processes = len(self._shares)
        self._workers: list[asyncio.subprocess.Process] = []
        self._reading: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        env = handed_on()
        for share in self._shares:
            worker = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "lifecycle.rehearsal.load.worker",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env=env,
                limit=LINE,
                start_new_session=True,
            )
            self._workers.append(worker)
            self._send(worker, share.to_json())
            self._reading.append(asyncio.create_task(self._read(worker)))
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for task in self._reading:
            task.cancel()
        await asyncio.gather(*self._reading, return_exceptions=True)
        for worker in self._workers:
            with contextlib.suppress(ProcessLookupError):
                worker.kill()
            await worker.wait()

    def follow(self, pod: Pod) -> None:
        """Report a pod to the clients, now and at each of its changes."""
        last: list[dict[str, Any]] = []

        def tell() -> None:
            news = {
                "do": "pod",
                "uid": pod.uid,
                "name": pod.name,
                "ip": pod.ip,
                "port": pod.port("http"),
                "ready": pod.ready,
                "finished": pod.finished,
                "deleted": pod.deletion is not None,
            }
            if last[-1:] != [news]:
                last[:] = [news]
                self._send_all(news)

        pod.subscribe(tell)
        tell()

    def begin(self) -> None:
        """Start the clients."""
        self._send_all({"do": "begin"})

    async def end(self) -> Tally:
        """
        Let the clients finish their requests, and return all counts.

        Raises:
            CannotRehearse: A process of the load generator failed, or no request was made.
        """
        self._send_all({"do": "end"})
        try:
            longest = self._traffic.timeout + self._traffic.first_after
            async with asyncio.timeout(longest * 2 + MARGIN):
                await asyncio.gather(*self._reading)
        except TimeoutError:
            raise CannotRehearse(
                "the load generator did not end in time. Lower --rate",
                see="errors.md#load-generator-failed",
            ) from None
        return _in_order(self.tally)

    def check(self) -> None:
        """
        Check that all processes still run.

        Raises:
            CannotRehearse: A process failed.
        """
        for task in self._reading:
            if task.done():
                task.result()

    def _send_all(self, message: dict[str, Any]) -> None:
        for worker in self._workers:
            self._send(worker, message)

    def _send(self, worker: asyncio.subprocess.Process, message: dict[str, Any]) -> None:
        if worker.stdin is not None and not worker.stdin.is_closing():
            worker.stdin.write(json.dumps(message).encode() + b"\n")

    async def _read(self, worker: asyncio.subprocess.Process) -> None:
        assert worker.stdout is not None
        while line := await worker.stdout.readline():
            fields = json.loads(line)
            over = fields.pop("over")
            self.tally.merge(Tally.from_json(fields))
            self._changed()
            if over:
                return
        raise CannotRehearse(
            "the load generator failed. Its output is above", see="errors.md#load-generator-failed"
        )


def _in_order(tally: Tally) -> Tally:
    """Return the tally, if there were requests, and each one was either answered or lost."""
    answered, lost = tally.answers.total(), len(tally.losses)
    if tally.requests != answered + lost:
        raise CannotRehearse(
            f"the load generator failed: of {tally.requests:,} requests {answered:,} were "
            f"answered and {lost:,} lost",
            see="errors.md#load-generator-failed",
        )
    if not tally.requests:
        why = "; ".join(tally.own_errors) or "raise --rate or --clients"
        raise CannotRehearse(
            f"no request was sent, so there is no result: {why}",
            see="errors.md#load-generator-failed",
        )
    return tally
