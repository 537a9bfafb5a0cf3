"""
What a kubelet and one ordinary client see all the while.

A machine has its own moments. So that they are not taken for the app's, what it takes to ask
a bystander, a process that does nothing else, and for how long the app was ready to run and
had no core, is not held against a probe.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Self

from tests.fuzz import target
from tests.process import wire
from tests.process.kit import App

KUBELET: Final = "127.0.0.2"
"""The address the probes come from: not the crowd's."""
PROBE: Final = 0.5
"""Seconds in which a probe must be answered."""
ORDINARY: Final = 5.0
"""Seconds in which an ordinary request must be answered by an app whose loop is kept busy."""
PAUSE: Final = 0.05
PROBES: Final = ("/live", "/ready", "/startup")
TIMEOUT: Final = 8.0

_BYSTANDER: Final = """
import socket
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True:
    try:
        asked, _ = listener.accept()
        with asked:
            asked.recv(10)
            asked.sendall(b"true")
    except OSError:
        pass
"""


@contextlib.contextmanager
def bystander() -> Iterator[int]:
    """Have a process that answers whoever asks; gives its port."""
    process = subprocess.Popen(
        [sys.executable, "-c", _BYSTANDER], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
    )
    try:
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait(10)
        if process.stdout is not None:
            process.stdout.close()


@dataclass
class Seen:
    """What was seen so far: counts, the slowest in seconds, and what was wrong."""

    probes: int = 0
    slowest: float = 0.0
    ordinary: int = 0
    slowest_ordinary: float = 0.0
    faults: list[str] = field(default_factory=list)


class Watch:
    """
    Asks until it is told to stop; a context manager.

    Args:
        app: Whom.
        bystander: The port of one.
        ask_app: Also ask the app's own port (plain HTTP).
    """

    def __init__(self, app: App, bystander: int, *, ask_app: bool) -> None:
        self.seen = Seen()
        self.draining = False
        self._app = app
        self._bystander = bystander
        self._ask_app = ask_app
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def warm(self) -> bool:
        """Tell whether the app has answered each probe twice: what it loads for that is there."""
        return self.seen.probes >= 2 * len(PROBES) or bool(self.seen.faults)

    def stop(self) -> None:
        """Stop asking."""
        self._stop.set()
        self._thread.join(3 * TIMEOUT)

    def _run(self) -> None:
        number = 0
        while not self._stop.wait(PAUSE):
            path = PROBES[number % len(PROBES)]
            if not self.draining or path != "/ready":
                self._probe(path)
            if self._ask_app and not self.draining and number % 4 == 0:
                self._ordinary()
            number += 1

    def _probe(self, path: str) -> None:
        machine = self._asked(self._bystander, b"x", "127.0.0.1")[0]
        waited = target.kept_waiting(self._app)
        request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode()
        seconds, answer = self._asked(self._app.qos, request, KUBELET)
        machine = max(machine, self._asked(self._bystander, b"x", "127.0.0.1")[0])
        machine = max(machine, target.kept_waiting(self._app) - waited)
        own = max(0.0, seconds - machine)
        if not answer.startswith(b"HTTP/1.1 200") or not answer.endswith(b"true"):
            if not self.draining:  # then it may just have ended
                self._fault(f"{path} answered {answer[:60]!r} after {seconds:.2f} s")
            return
        self.seen.probes += 1
        self.seen.slowest = max(self.seen.slowest, own)
        if own >= PROBE:
            self._fault(f"{path} took {seconds:.2f} s (the machine: {machine:.2f} s)")

    def _ordinary(self) -> None:
        request = b"GET /ok HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        seconds, answer = self._asked(self._app.port, request, KUBELET)
        if self.draining:
            return
        self.seen.ordinary += 1
        self.seen.slowest_ordinary = max(self.seen.slowest_ordinary, seconds)
        if not answer.startswith(b"HTTP/1.1 200") or not answer.endswith(b"ok"):
            self._fault(f"an ordinary request was answered {answer[:60]!r} after {seconds:.2f} s")
        elif seconds >= ORDINARY:
            self._fault(f"an ordinary request took {seconds:.2f} s")

    def _fault(self, text: str) -> None:
        if len(self.seen.faults) < 5:
            self.seen.faults.append(text)

    def _asked(self, port: int, data: bytes, source: str) -> tuple[float, bytes]:
        began = time.monotonic()
        try:
            answer = wire.exchange(("127.0.0.1", port), data, source=source, timeout=TIMEOUT)
        except (OSError, socket.gaierror) as error:
            answer = repr(error).encode()
        return time.monotonic() - began, answer
