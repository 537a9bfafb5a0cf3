"""
The crash loop: workers that die as soon as they are there, for a minute, and what that costs.

`python -m benchmarks.crash_loop [SECONDS]` prints a line a server: how many workers have come and
gone, and what the parent had of descriptors, slots and memory before, meanwhile and afterwards.
It fails if anything of the dead is left, or the parent grows.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from lifecycle.instrumentation.lifecycle_worker.board import Board
from lifecycle.process.command.processes import descendants, everybody
from lifecycle.testing import free_port
from lifecycle.testing.environment import handed_on

APP: Final = """
import os, threading, time
with open("born", "a") as born:
    print(os.getpid(), file=born)

def crash():
    time.sleep(float(os.environ["LASTS"]))
    while not os.path.exists("crash"):
        time.sleep(0.05)
    os._exit(1)

threading.Thread(target=crash, daemon=True).start()

def wsgi(environ, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]

async def asgi(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})
"""
SERVERS: Final = {
    "gunicorn": ("gunicorn", "-w", "4", "-b", "127.0.0.1:{port}", "app:wsgi"),
    "uvicorn": ("uvicorn", "--workers", "4", "--port", "{port}", "--lifespan", "off", "app:asgi"),
    "granian": (
        *("granian", "--workers", "2", "--interface", "asgi", "--port", "{port}"),
        *("--respawn-failed-workers", "--respawn-interval", "0.2", "app:asgi"),
    ),
}
LASTS: Final = {"gunicorn": "0.05", "uvicorn": "0.05", "granian": "5.6"}
"""Seconds that a worker lives: long enough to be on the board, or for granian to start another."""
OF_WORKERS: Final = ("-w", "--workers")
MINUTE: Final = 60.0
WARM: Final = 10.0
"""Seconds after which the parent has all the memory that it needs for this."""
EVERY: Final = 0.5
"""Seconds between two looks at the parent."""
NOTICES: Final = 2.0
"""Seconds in which it takes note of the last that have died."""
GROWTH: Final = 400
"""KiB that it may have more than that in the end: what an allocator keeps."""


class Look(NamedTuple):
    """
    What a parent has at a moment.

    Attributes:
        memory: Its own, in KiB.
        descriptors: How many are open.
        slots: How many are taken on the board.
        zombies: How many of its family nobody has taken note of.
        cpu: Seconds of processor time so far.
    """

    memory: int
    descriptors: int
    slots: int
    zombies: int
    cpu: float


class Parent:
    """A `lifecycle run -- SERVER`, READY, in a folder of its own."""

    def __init__(self, server: str, folder: Path) -> None:
        port, self.qos = free_port(), free_port()
        (folder / "app.py").write_text(APP)
        self.folder = folder
        words = [each.format(port=port) for each in SERVERS[server]]
        settings = {"LIFECYCLE_QOS_PORT": str(self.qos), "LASTS": LASTS[server]}
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "lifecycle", "run", "--service", f"shop:{port}"),
                    *("--", sys.executable, "-m", *words),
                ],
                cwd=folder,
                env=handed_on() | settings | {"LIFECYCLE_RUN_DIR": str(folder)},
                stdout=log,
                stderr=log,
            )
        self.until(lambda: self.answers("/ready") == 200, 60)
        [path] = Path("/dev/shm").glob(f"lifecycle-{self.process.pid}-*.board")
        self.board = Board(str(path))
        workers = int(words[next(n for n, each in enumerate(words) if each in OF_WORKERS) + 1])
        self.until(lambda: len(list(self.board.slots())) == workers, 30)

    def until(self, condition: Callable[[], object], seconds: float) -> None:
        """Wait until something is so."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise SystemExit((self.folder / "log").read_text()[-3000:])
            time.sleep(0.05)

    def answers(self, path: str) -> int:
        """Ask its QOS port; 0 if nobody is there."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.qos}{path}", timeout=5) as found:
                return int(found.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def born(self) -> int:
        """Return how many workers there have been."""
        return len((self.folder / "born").read_text().splitlines())

    def look(self) -> Look:
        """Look at it."""
        of = Path(f"/proc/{self.process.pid}")
        memory = int((of / "status").read_text().partition("RssAnon:")[2].split()[0])
        times = (of / "stat").read_text().rpartition(")")[2].split()[11:13]
        family = descendants([self.process.pid], everybody())
        return Look(
            memory,
            len(os.listdir(of / "fd")),
            len(list(self.board.slots())),
            sum(each.ended for each in family),
            sum(map(int, times)) / os.sysconf("SC_CLK_TCK"),
        )


def loop(server: str, seconds: float) -> str:
    """Let the workers of a server die for so long; return why that was not well, or nothing."""
    with tempfile.TemporaryDirectory() as folder:
        parent = Parent(server, Path(folder))
        try:
            return _loop(server, parent, seconds)
        finally:
            parent.process.send_signal(signal.SIGTERM)
            parent.process.wait(30)


def _loop(server: str, parent: Parent, seconds: float) -> str:
    before, born, began = parent.look(), parent.born(), time.monotonic()
    (parent.folder / "crash").touch()
    warm, (_, descriptors, slots, zombies, _) = before, before
    while (since := time.monotonic() - began) < seconds:
        now = parent.look()
        descriptors = max(descriptors, now.descriptors)
        slots, zombies = max(slots, now.slots), max(zombies, now.zombies)
        if since <= WARM:
            warm = now
        if parent.process.poll() is not None or parent.answers("/live") != 200:
            return "it does not live any more"
        time.sleep(EVERY)
    at_end = parent.look()
    died = parent.born() - born
    (parent.folder / "crash").unlink()
    parent.until(lambda: len(list(parent.board.slots())) >= before.slots, 60)
    time.sleep(NOTICES)
    after = parent.look()
    share = (at_end.cpu - before.cpu) / seconds
    print(
        f"{server:9} {died:5} died · memory {before.memory:,} → {warm.memory:,} "
        f"(after {WARM:.0f} s) → {at_end.memory:,} → {after.memory:,} KiB · descriptors "
        f"{before.descriptors} → at most {descriptors} → {after.descriptors} · slots "
        f"{before.slots} → at most {slots} → {after.slots} · zombies at most "
        f"{zombies} → {after.zombies} · {share:.1%} of a core",
        flush=True,
    )
    wrong = []
    if at_end.memory > warm.memory + GROWTH:
        wrong.append("its memory grows")
    if after.descriptors > before.descriptors:
        wrong.append("descriptors are left")
    if after.slots > before.slots:
        wrong.append("slots are left")
    if after.zombies:
        wrong.append("zombies are left")
    return ", ".join(wrong)


def main() -> int:
    """Have all servers crash, one after the other."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else MINUTE
    problems = {server: loop(server, seconds) for server in SERVERS}
    for server, problem in problems.items():
        if problem:
            print(f"{server}: {problem}", file=sys.stderr)
    return int(any(problems.values()))


if __name__ == "__main__":
    raise SystemExit(main())
