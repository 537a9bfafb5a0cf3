"""
One cell of the matrix: a registry, a fault, and the state of the app when the fault begins.

The same is asked in each cell, of the app's own port and of the server itself, by a client that
shares no code with the plugin and does not pass through the proxy:

1. The app is never ready before the server has its entry.
2. An outage never takes a ready app out.
3. The entry is back within 2 s of the end of the fault, and stays. If the plugin has to find out
   about a loss first, the time that it has for this is added.
4. A drain never waits for the registry for longer than `register_timeout`, and the exit code is 0.
5. After the exit, nothing of the app is left: at once, or within the lease if the server could not
   be reached. What another process has taken is still there.
6. The log has no traceback and no password.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from tests.faults.faults import Fault, Kind, State
from tests.faults.links import Way
from tests.faults.proxy import Proxy
from tests.faults.subjects import PASSWORD, Subject
from tests.process.kit import App
from tests.process.waiting import patience, wait_for
from tests.registries.server import Server

SOURCE: Final = """
import asyncio, os, lifecycle

async def main(life):
    async def served(reader, writer):
        writer.close()

    server = await asyncio.start_server(served, "127.0.0.1", int(os.environ["PORT"]))
    life.export("orders", port=int(os.environ["PORT"]))
    await life.ready()
    await life.drained()
    server.close()

lifecycle.run(main)
"""
REGISTER_TIMEOUT: Final = 4.0
"""Seconds. The import of a client library is a part of the first registration."""
SETTLE: Final = 0.2
SETTINGS: Final = {
    "LIFECYCLE_SETTLE": str(SETTLE),
    "LIFECYCLE_QUIET": "0",
    "LIFECYCLE_STOP_TIMEOUT": "1",
    "LIFECYCLE_GRACE_PERIOD": "20",
    "LIFECYCLE_REGISTER_TIMEOUT": str(REGISTER_TIMEOUT),
    "POD_NAME": "orders-1",
    "POD_NAMESPACE": "shop",
    "POD_IP": "127.0.0.1",
}
BACK: Final = 2.0
"""Seconds after which an entry is back."""
STARTED: Final = 20.0
"""Seconds until an app is ready."""
LATE: Final = 1.0
"""Seconds that the server may take beyond the lease."""
LEAVING: Final = 3.0
"""Seconds that a process takes to end, beside what it waits for."""
SAMPLE: Final = 0.05
"""Seconds between two looks at `/ready`."""


class Stage:
    """An app, the server, and the proxy between them."""

    def __init__(
        self, subject: Subject, server: Server, proxy: Proxy, folder: Path, stack: ExitStack
    ) -> None:
        self.subject = subject
        self.server = server
        self.proxy = proxy
        self.folder = folder
        self.stack = stack
        self.taken = ""
        self.app: App
        self.answers: list[tuple[bool, str]] = []
        """What `/ready` has answered, and its text."""
        self.asked = True
        """The server can be asked what is registered."""

    @property
    def pid(self) -> int:
        return self.app.pid

    @property
    def key(self) -> str:
        """The key of the app's entry."""
        return next(iter(self.ours()))

    def ours(self) -> set[str]:
        """Return the keys of the app's entries that are stored, if consumers see them or not."""
        port = str(self.app.port)
        return {
            key
            for key, entry in self.server.everything().items()
            if port in key + entry.value and key != self.taken
        }

    def seen(self) -> bool:
        """Tell whether consumers find the app."""
        return bool(self.ours() & set(self.server.entries()))

    def launch(self) -> None:
        """Start the app."""
        settings = SETTINGS | dict(self.subject.settings(self.proxy.port))
        self.app = self.stack.enter_context(App.start(SOURCE, env=settings, cwd=self.folder))

    def ready(self) -> bool:
        """
        Tell whether `/ready` is true.

        Raises:
            AssertionError: It is true for the first time, and the server has no entry.
        """
        try:
            status, text, _ = self.app.get("/ready", timeout=1)
        except OSError:
            status, text = 0, "no answer"
        ready = status == 200
        if ready and self.asked and not any(each for each, _ in self.answers):
            assert self.seen(), f"ready, and the server has no entry: {text}"
        self.answers.append((ready, text))
        return ready

    def last(self, seconds: float) -> list[str]:
        """Let the fault last. Return what `/ready` has said meanwhile, when it was not true."""
        began, first = time.monotonic(), len(self.answers)
        while time.monotonic() - began < seconds:
            self.ready()
            time.sleep(SAMPLE)
        return [text for ready, text in self.answers[first:] if not ready]

    def back(self, seconds: float) -> float:
        """Wait until consumers find the app, and it is ready. Return how long that took."""
        return self._until(lambda: self.seen() and self.ready(), seconds, "registered, and ready")

    def stay(self, seconds: float) -> None:
        """Look for a while whether consumers find the app all the time, and it stays ready."""
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            assert self.seen(), f"it is found no more: {self.app.stderr[-3000:]}"
            assert self.ready(), f"it is not ready: {self.answers[-1:]}\n{self.app.stderr[-3000:]}"
            time.sleep(SAMPLE)

    def gone(self, seconds: float) -> float:
        """Wait until consumers no longer find the app. Return how long that took."""
        return self._until(lambda: not self.seen(), seconds, "no longer found")

    def _until(self, condition: Callable[[], bool], seconds: float, what: str) -> float:
        """Wait for something that the app does while it runs, or that comes after its end."""
        began = time.monotonic()
        ran = self.app.running
        wait_for(
            lambda: condition() or (ran and not self.app.running),
            seconds,
            lambda: (
                f"{what}: {self.server.everything()}, /ready {self.answers[-1:]}\n"
                f"{self.app.stderr[-3000:]}"
            ),
        )
        assert not ran or self.app.running, f"{what}: the app has ended\n{self.app.stderr[-3000:]}"
        return time.monotonic() - began

    def left(self, seconds: float) -> None:
        """Wait for the end of the process, which must be in time, and with the exit code 0."""
        assert self.app.wait(seconds * patience()) == 0, self.app.stderr[-3000:]

    def nothing_is_stored(self, seconds: float) -> None:
        """Wait until nothing of the app is stored."""
        self._until(lambda: not self.ours(), seconds, "nothing is stored")


class Cell:
    """
    A cell.

    Args:
        subject: The registry.
        fault: The fault.
        state: When it begins.
        seconds: How long it lasts.
    """

    def __init__(self, subject: Subject, fault: Fault, state: State, seconds: float) -> None:
        self.subject = subject
        self.fault = fault
        self.state = state
        self.seconds = seconds

    def play(self, folder: Path) -> float:
        """
        Play it.

        Args:
            folder: Where the files of the server and the app are.

        Returns:
            The seconds until the app was registered again, or until nothing of it was found.

        Raises:
            AssertionError: Something is not as it must be.
        """
        steps = {
            State.BEFORE: self._before,
            State.REGISTERING: self._while_registering,
            State.READY: self._ready,
            State.DRAINING: self._draining,
        }
        with ExitStack() as stack:
            server = stack.enter_context(self.subject.make(folder))
            proxy = stack.enter_context(Proxy(server.port))
            stage = Stage(self.subject, server, proxy, folder, stack)
            took = steps[self.state](stage)
        said = stage.app.stdout + stage.app.stderr
        assert PASSWORD not in said, said
        assert "Traceback" not in said, said
        return took

    def _before(self, stage: Stage) -> float:
        self._begin(stage)
        stage.launch()
        stage.last(self.seconds)
        if self.fault.kind is Kind.OUTAGE:
            assert not any(ready for ready, _ in stage.answers), "ready, and not acknowledged"
        return self._registered_again(stage)

    def _while_registering(self, stage: Stage) -> float:
        """The server has got something, and its answer is held back until the fault begins."""
        stage.proxy.hold(Way.DOWN)
        stage.launch()
        wait_for(lambda: stage.proxy.passed(Way.UP) > 0, STARTED, "it speaks to the server")
        self._begin(stage)
        if self.fault.answers:
            stage.proxy.release(Way.DOWN)
        if self.fault.kind is Kind.DEATH:
            return self._dead(stage)
        if self.fault.kind is Kind.ABSENCE:
            wait(self.subject.lease + 1)
        else:
            stage.last(self.seconds)
        return self._registered_again(stage)

    def _ready(self, stage: Stage) -> float:
        stage.launch()
        stage.back(STARTED)
        self._begin(stage)
        if self.fault.kind is Kind.DEATH:
            return self._dead(stage)
        if self.fault.kind is Kind.ABSENCE:
            stage.gone(self.subject.lease + LATE)
        elif self.fault.kind is Kind.LOSS and not self.fault.lasts:
            pass
        else:
            refused = stage.last(self.seconds)
            assert not refused or self.fault.kind is Kind.LOSS, refused
        return self._registered_again(stage)

    def _draining(self, stage: Stage) -> float:
        stage.launch()
        stage.back(STARTED)
        if self.fault.kind in (Kind.ABSENCE, Kind.DEATH):
            stage.app.signal(signal.SIGTERM)
            self._begin(stage)
        else:
            self._begin(stage)
            stage.app.signal(signal.SIGTERM)
        if self.fault.kind is Kind.DEATH:
            return self._dead(stage)
        if self.fault.kind is Kind.ABSENCE:
            wait(self.subject.lease + 1)
            self._end(stage)
        stage.left(SETTLE + REGISTER_TIMEOUT + LEAVING)
        ended = time.monotonic()
        if self.fault.kind is not Kind.ABSENCE:
            self._end(stage)
        reached = self.fault.kind is not Kind.OUTAGE and not self.fault.unseen
        stage.gone(0 if reached else self.subject.lease + LATE)
        took = time.monotonic() - ended
        stage.nothing_is_stored(self.subject.kept + LATE)
        return took

    def _begin(self, stage: Stage) -> None:
        stage.asked = self.fault.asked
        self.fault.begin(stage)

    def _end(self, stage: Stage) -> None:
        self.fault.end(stage)
        stage.proxy.heal()
        stage.asked = True

    def _registered_again(self, stage: Stage) -> float:
        """End the fault, wait until all is well, and let the app leave."""
        self._end(stage)
        took = stage.back(allowed(self.subject, self.fault))
        if self.state is State.READY:
            stage.stay(self.seconds)  # what is found at first can be what nobody renews any more
        stage.app.signal(signal.SIGTERM)
        stage.left(SETTLE + LEAVING)
        stage.nothing_is_stored(0)
        return took

    def _dead(self, stage: Stage) -> float:
        """Wait until nothing of a process is found that could do nothing about it."""
        stage.app.wait()
        took = stage.gone(self.subject.lease + LATE)
        stage.nothing_is_stored(self.subject.kept + LATE)
        return took


def allowed(subject: Subject, fault: Fault) -> float:
    """Return the seconds after which the app is registered again, once a fault is over."""
    seconds = BACK
    if fault.kind is Kind.LOSS:
        seconds += subject.notice
    if fault.unseen:
        seconds += subject.silence
    return seconds


def wait(seconds: float) -> None:
    """Let time pass, while there is nobody to look at."""
    until = time.monotonic() + seconds
    wait_for(lambda: time.monotonic() > until, seconds + 1, "time passes")
