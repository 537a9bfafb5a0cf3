"""A kubelet in small: starts replicas, probes them, and ends them as the real one does."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import sys
from collections.abc import Callable
from typing import Any

from record import PROBES, Record, Track
from wire import get, verdict

HERE = os.path.dirname(os.path.abspath(__file__))
PATIENCE = 20.0
GRACE = 30.0
PROBE_PERIOD = 0.2
SETTINGS = {"LIFECYCLE_QOS_PORT": "0", "LIFECYCLE_SETTLE": "3", "LIFECYCLE_QUIET": "1"}
STATES = {"starting", "exporting", "registered", "ready", "draining", "stopped", "failed"}


class Stuck(Exception):
    """A replica did not become what it should; the message has its last words."""


class Pod:
    """One replica: a real process, watched through what it says and what its probes answer."""

    def __init__(self, record: Record, track: Track, run_dir: str) -> None:
        self.record = record
        self.track = track
        self.port = 0
        self.answers = False
        self.terminating = False
        self.on_answer: Callable[[], None] = lambda: None
        self.words: list[str] = []
        self.changed = asyncio.Event()
        kept = {k: v for k, v in os.environ.items() if not k.startswith("LIFECYCLE_")}
        self.env = {**kept, **SETTINGS, "LIFECYCLE_RUN_DIR": run_dir, "PYTHONUNBUFFERED": "1"}
        self.process: asyncio.subprocess.Process | None = None
        self._tasks: list[asyncio.Task[None]] = []

    def command(self) -> list[str]:
        raise NotImplementedError

    def read(self, line: str) -> None:
        raise NotImplementedError

    async def probe(self) -> None:
        raise NotImplementedError

    async def pre_stop(self) -> None:
        raise NotImplementedError

    async def start(self) -> None:
        # A session of its own, so that Ctrl-C is the demo's to handle.
        self.process = await self.python(*self.command(), stderr=asyncio.subprocess.PIPE)
        self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._probe())]
        for task in self._tasks:
            task.add_done_callback(lambda _: self.changed.set())

    async def python(self, *words: str, stderr: int | None = None) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", *words),
            env=self.env,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=stderr,
            start_new_session=True,
        )

    async def lifecycle(self, *words: str) -> None:
        """Run the real command, as `kubectl exec` or an exec hook would."""
        process = await self.python("lifecycle", *words)
        if code := await process.wait():
            self.record.say(f"lifecycle {' '.join(words)} ended with {code}")

    async def _listen(self) -> None:
        async for line in self.process.stderr:
            text = line.decode(errors="replace").rstrip()
            self.words.append(text)
            with contextlib.suppress(ValueError, KeyError):
                self.read(text)
            self.changed.set()

    def answered(self, *, ready: bool) -> None:
        """Take the readiness probe's verdict; the endpoints follow it."""
        before, self.answers = self.answers, ready
        if before is not ready:
            self.on_answer()

    async def _probe(self) -> None:
        while True:
            await self.probe()
            self.changed.set()
            await asyncio.sleep(PROBE_PERIOD)

    async def until(self, *, ready: bool) -> None:
        """Wait until the readiness probe says so."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                while self.answers is not ready and not any(task.done() for task in self._tasks):
                    self.changed.clear()
                    await self.changed.wait()
        if self.answers is not ready:
            words = "\n".join(self.words[-20:])
            raise Stuck(f"{self.track.name} is not {'ready' if ready else 'offline'}:\n{words}")

    async def terminate(self) -> None:
        """Do what a kubelet does: preStop, SIGTERM, and SIGKILL when the grace is over."""
        self.terminating = True
        try:
            async with asyncio.timeout(GRACE):
                await self.pre_stop()
                self.record.mark(self.track, "SIGTERM")
                self.process.send_signal(signal.SIGTERM)
                await self.process.wait()
        except TimeoutError:
            self.process.kill()
            await self.process.wait()
        code = self.process.returncode
        await self._tasks[0]  # all that it had to say
        self._tasks[1].cancel()
        self.record.gone(self.track, code if code >= 0 else 128 - code)

    async def kill(self) -> None:
        """Leave nothing behind, whatever has happened."""
        for task in self._tasks:
            task.cancel()
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()


class LifecyclePod(Pod):
    """`lifecycle run --asgi`: probed on the QOS port, drained by `lifecycle prestop`."""

    qos = 0

    def command(self) -> list[str]:
        run = ["lifecycle", "run", "--asgi", "shop:app", "--app-dir", HERE]
        return [*run, "--bind", "127.0.0.1:0", "--service", "orders", "-p", "directory"]

    def read(self, line: str) -> None:
        event: dict[str, Any] = json.loads(line)
        name = event["event"]
        if name == "starting":
            self.qos = int(event["qos"].rsplit(":", 1)[1])
        if name in STATES:
            self.record.state(self.track, name, event.get("cause", ""))
        if name == "drain report":
            self.track.steps = event["steps"]

    async def probe(self) -> None:
        if not self.qos:
            return
        for probe in PROBES:
            answer = await verdict(self.qos, f"/{probe}")
            self.record.verdict(self.track, probe, verdict=answer)
            if probe == "ready":
                if answer and not self.port:
                    await self._find_port()
                self.answered(ready=bool(answer))

    async def _find_port(self) -> None:
        status = json.loads(await get(self.qos, "/status"))
        self.port = status["services"][0]["port"]

    async def switch(self, which: str) -> None:
        self.record.mark(self.track, which)
        self.record.say(f"$ lifecycle {which} orders")
        await self.lifecycle(which, "orders", "--port", str(self.qos))

    async def pre_stop(self) -> None:
        self.record.mark(self.track, "preStop")
        self.record.say(f"$ lifecycle prestop    (the kubelet, in {self.track.name})")
        await self.lifecycle("prestop", "--port", str(self.qos))
        self.record.say("preStop has returned: SIGTERM")


class UvicornPod(Pod):
    """The same app under plain uvicorn; `sleep` is its preStop hook, 0 for none."""

    sleep = 0.0

    def command(self) -> list[str]:
        return ["uvicorn", "shop:app", "--app-dir", HERE, "--port", "0", "--no-access-log"]

    def read(self, line: str) -> None:
        if not self.track.states:
            self.record.state(self.track, "starting")
        if found := re.search(r"running on http://127\.0\.0\.1:(\d+)", line):
            self.port = int(found[1])

    async def probe(self) -> None:
        if not self.port:
            return
        answer = await verdict(self.port, "/healthz")
        if answer and not self.answers and not self.terminating:
            self.record.state(self.track, "ready")
        self.record.verdict(self.track, "ready", verdict=answer)
        self.answered(ready=bool(answer))

    async def pre_stop(self) -> None:
        if self.sleep:
            self.record.mark(self.track, f"preStop sleep {self.sleep:g}")
            self.record.state(self.track, "sleeping", f"preStop: sleep {self.sleep:g}")
            await asyncio.sleep(self.sleep)
        self.record.state(self.track, "stopping", "SIGTERM")
