"""One host, rolled again and again under a load that goes on."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.process.kit import App
from tests.process.load import Load
from tests.process.rollout import Result, Rollout, pick_port

SERVED: Final = Path(__file__).parent / "served"
ROLLOUTS: Final = int(os.environ.get("ROLLOUTS", "2"))
"""How many times each host is rolled."""
SETTLE: Final = 2.5
QUIET: Final = 0.5
BIN: Final = Path(sys.executable).parent

_choosing = threading.Lock()


def a_port() -> int:
    """Return a free port that no other thread of this run was given."""
    with _choosing:
        return pick_port()


def some_idle_for_long() -> Load:
    """Make a load with clients that are idle for longer than settle: idle in the whole drain."""
    return Load(12, long_pause=SETTLE + 0.1)


def none_idle_for_long() -> Load:
    """Make a load for a server that closes idle connections itself when it stops: unannounced."""
    return Load(12, long_pause=SETTLE * 0.6)


@dataclass(frozen=True)
class Host:
    """
    One way to serve.

    Attributes:
        argv: What follows `python` on the command line; `{port}` in it is the port.
        prestop: Whether preStop runs before SIGTERM, for one rollout after another.
        load: Makes the clients.
        env: More settings.
        settle: Seconds of the drain in which consumers hear of it.
    """

    name: str
    argv: Sequence[str]
    prestop: Sequence[bool] = (True, False)
    load: Callable[[], Load] = none_idle_for_long
    env: dict[str, str] = field(default_factory=dict)
    settle: float = SETTLE

    def start(self, folder: Path, port: int) -> App:
        """Start a replica."""
        env = {
            "PORT": str(port),
            "PYTHONPATH": str(SERVED),
            "LIFECYCLE_QOS_PORT": str(a_port()),
            "LIFECYCLE_SETTLE": str(self.settle),
            "LIFECYCLE_QUIET": str(QUIET),
            **self.env,
        }
        env = {name: value.format(port=port) for name, value in env.items()}
        return App.start([each.format(port=port) for each in self.argv], env=env, cwd=folder)


class Rolling(Rollout):
    """Rolls a host as often as asked, and ends what is left."""

    def __init__(self, host: Host, folder: Path, stack: ExitStack) -> None:
        def start(port: int) -> App:
            app = host.start(folder, port)
            stack.callback(end, app)
            return app

        super().__init__(host.name, start, host.load(), replicas=1, prestop=False)
        self._host = host

    async def run(self, times: int = ROLLOUTS, **_: Any) -> Result:
        """Roll it so many times."""
        await self._add()
        self._load.begin()
        await asyncio.sleep(0.3)
        left = []
        for number in range(times):
            self._prestop = self._host.prestop[number % len(self._host.prestop)]
            app, endpoint = self._running.pop()
            await self._add()
            left.append(await self._delete(app, endpoint))
        await asyncio.sleep(0.3)
        return Result(self._name, await self._load.end(), left)


def end(app: App) -> None:
    """End a process, its children first: a worker outlives a master that was killed."""
    for child in _children(app.pid):
        os.kill(child, 9)
    app.__exit__()


def _children(pid: int) -> list[int]:
    try:
        found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [each for child in map(int, found) for each in (*_children(child), child)]


def roll(host: Host, folder: Path, times: int = ROLLOUTS) -> Result:
    """Roll a host, and say what came of it."""
    folder.mkdir()
    with ExitStack() as stack:
        result = asyncio.run(Rolling(host, folder, stack).run(times))
    print(result)
    return result
