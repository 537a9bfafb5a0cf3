"""The load generator, seen from the process that runs the rehearsal."""

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
"""Requests a second on new connections that one process does with ease."""
LINE: Final = 1 << 24
MARGIN: Final = 10.0
"""Seconds beyond the longest answer after which a process that does not end is given up."""


def split(traffic: Traffic) -> list[Traffic]:
    """Share traffic out among processes."""
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
    The processes of the load; an async context manager that leaves none behind.

    Args:
        traffic: What they do together.
        changed: Called whenever there is news.

    Attributes:
        tally: What they have seen so far.
        processes: How many they are.
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
        """Let the clients hear of a pod, from now on whenever it changes."""
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
        """Set the clients to work."""
        self._send_all({"do": "begin"})

    async def end(self) -> Tally:
        """
        Let the clients finish what they have begun, and return what they have seen.

        Raises:
            CannotRehearse: A process of the load generator has failed, or nothing was asked.
        """
        self._send_all({"do": "end"})
        try:
            longest = self._traffic.timeout + self._traffic.first_after
            async with asyncio.timeout(longest * 2 + MARGIN):
                await asyncio.gather(*self._reading)
        except TimeoutError:
            raise CannotRehearse(
                "the load generator did not come to an end: lower --rate"
            ) from None
        return _in_order(self.tally)

    def check(self) -> None:
        """
        See whether all of them still work.

        Raises:
            CannotRehearse: One has failed.
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
        raise CannotRehearse("the load generator has failed; what it said is above")


def _in_order(tally: Tally) -> Tally:
    """Return a tally in which every request was either answered or lost, and there were some."""
    answered, lost = tally.answers.total(), len(tally.losses)
    if tally.requests != answered + lost:
        raise CannotRehearse(
            f"the load generator has failed: of {tally.requests:,} requests {answered:,} were "
            f"answered and {lost:,} lost"
        )
    if not tally.requests:
        why = "; ".join(tally.own_errors) or "raise --rate or --clients"
        raise CannotRehearse(f"not one request was made, so nothing is known: {why}")
    return tally
