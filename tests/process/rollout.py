"""Services rolled over under load, by the rehearsal that users have; and what was promised."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from lifecycle.rehearsal.measuring.losses import Cause
from lifecycle.rehearsal.plan import Plan, Traffic
from lifecycle.rehearsal.rehearsal import Rehearsal
from lifecycle.rehearsal.replicas.replica import Replica
from lifecycle.rehearsal.report.text import Painter, render
from lifecycle.rehearsal.verdict.judge import Verdict
from lifecycle.rehearsal.verdict.result import Result
from tests.process.h1_client import Connection, Lost
from tests.process.kit import App, free_port
from tests.process.log_lines import events
from tests.process.serving import CERTIFICATE

SERVED: Final = Path(__file__).parents[1] / "hosts" / "served"
RUN: Final = ("-m", "lifecycle", "run")
BIND: Final = ("--bind", "127.0.0.1:{port}", "--service", "shop")
SETTLE: Final = 2.5
QUIET: Final = 0.5
BEFORE_EXIT: Final = QUIET + 0.2
ATTEMPTS: Final = 3
"""How often one rehearsal is tried, if the machine was too noisy each time."""
MARGIN: Final = 1.0
"""Seconds more than promised: the machine of a test has other things to do."""
INTERPRETERS: Final = 2.0
"""Seconds more in which a master's and its workers' interpreters end, on such a machine."""

WATCHERS: Final = (
    ("kube-probe/1.30", False),
    ("ELB-HealthChecker/2.0", False),
    ("Prometheus/2.50.1", True),
)
"""Who keeps asking the app's own port, and whether over one connection."""


def traffic(**changes: Any) -> Traffic:
    """Return a light load: of its kept connections one in four idles for longer than settle."""
    return Traffic(
        **{
            "rate": 80.0,
            "clients": 16,
            "think": 2 * (SETTLE + 0.1),
            "busy": 0.75,
            "paths": ("/",) * 50 + ("/stream",),
            "slow": "/slow",
            "rtt": 0.0,
            "processes": 1,
            **changes,
        }
    )


def plan(folder: Path, *words: str, env: dict[str, str] | None = None, **fields: Any) -> Plan:
    """Return the plan of rolling over what `python WORDS` serves."""
    settings = {
        "LIFECYCLE_SETTLE": str(SETTLE),
        "LIFECYCLE_QUIET": str(QUIET),
        "PYTHONPATH": str(SERVED),
        "PYTHONUNBUFFERED": "1",
        **(env or {}),
    }
    fields.setdefault("traffic", traffic())
    return Plan((sys.executable, *words), ready="qos", cwd=str(folder), env=settings, **fields)


def run_asgi(start: Callable[..., App], *, tls: bool = False, **settings: object) -> App:
    """Start one `lifecycle run --asgi shop:app`, the test's own or the one that is served."""
    secure = ("--certfile", str(CERTIFICATE)) if tls else ()
    return _run(start, ("--asgi", "shop:app", *BIND, *secure), settings)


def run_uvicorn(start: Callable[..., App], **settings: object) -> App:
    """Start one main with uvicorn inside that serves `Middleware(app)`."""
    return run_main(start, "mains:uvicorn_inside", services="shop:{port}", **settings)


def run_main(start: Callable[..., App], target: str, **settings: object) -> App:
    """Start one `lifecycle run` of a main that is served."""
    return _run(start, (target,), settings)


def _run(start: Callable[..., App], words: Sequence[str], settings: Mapping[str, object]) -> App:
    port = str(free_port())
    env = {f"LIFECYCLE_{name.upper()}": str(value) for name, value in settings.items()}
    env = {"PORT": port, "PYTHONPATH": str(SERVED), **env}
    env = {name: value.replace("{port}", port) for name, value in env.items()}
    return start([*RUN, *(word.replace("{port}", port) for word in words)], env=env)


async def roll(rehearsals: Mapping[str, Rehearsal]) -> list[Result]:
    """
    Rehearse at once, and print what came of it.

    A rehearsal that lost requests only while the machine stood still has measured the machine. It
    is run again. So is one whose clients only had nobody to ask: its replicas were there, one after
    the other, but the clients noticed it late. Any other loss stands, and the last attempt too.
    """
    return await asyncio.gather(*(_measure(*each) for each in rehearsals.items()))


def _is_of_the_machine(result: Result) -> bool:
    nobody = all(each.cause is Cause.NO_ENDPOINT for each in result.tally.losses)
    return nobody or result.verdict is Verdict.INCONCLUSIVE


async def _measure(name: str, rehearsal: Rehearsal) -> Result:
    for number in range(1, ATTEMPTS + 1):
        result = await rehearsal.run()
        print(f"\n{name}, attempt {number}: {render(result, Painter())}")
        if not (result.lost and _is_of_the_machine(result)):
            break
    return result


def assert_nothing_lost(result: Result) -> None:
    """Every request was answered, whole; if not, tell which, and where in a replica's life."""
    losses = [(each, result.stage(each), result.since_t0(each)) for each in result.tally.losses]
    assert losses == [], render(result, Painter())


def assert_in_order(
    result: Result,
    codes: Sequence[int] = (0,),
    settle: float = SETTLE,
    own_end: float | None = None,
    crowded: float = 3.0,
) -> None:
    """
    Every replica that was replaced left by itself, and in time.

    Args:
        result: Of its rehearsal.
        codes: The exit codes that are in order.
        settle: Of its drain.
        own_end: Seconds that a command takes to end once it is told to, which are its own; None:
            there is no command.
        crowded: Seconds more until the kubelet's part is done on a busy machine: the
            preStop's exec and the interpreter's end.
    """
    for replica in (each for rollout in result.rollouts for each in rollout.left):
        seen = f"{replica.deletion}\n{replica.pod.describe()}"
        assert replica.deletion is not None
        assert replica.deletion.exit_code in codes, seen
        assert not replica.deletion.killed, seen
        assert not replica.deletion.pre_stop_failed, seen
        assert "Traceback" not in replica.pod.output, seen
        promised = settle + BEFORE_EXIT + result.tally.longest + MARGIN
        own = 0.0 if own_end is None else took_to_end(replica)
        assert own <= (own_end or 0.0) + INTERPRETERS + crowded, seen
        assert drained(replica) - own < promised, seen
        assert replica.seconds - own < promised + crowded, seen


def took_to_end(replica: Replica) -> float:
    """Return the seconds from a command's last signal to its end, by the report."""
    for report in events(replica.pod.output, "drain report"):
        steps = report.get("steps", {})
        if "stop" in steps:
            told = max(steps.get("signal", 0.0), steps.get("wait", 0.0))
            return float(steps["stop"] - told)
    return 0.0


def drained(replica: Replica) -> float:
    """Return the seconds from T0 to the end of the drain, by its own report."""
    reports = events(replica.pod.output, "drain report")
    return max((each["steps"]["close"] for each in reports if "steps" in each), default=0.0)


class Watched(Rehearsal):
    """A rehearsal in which a kubelet, a load balancer and a scraper ask the app's own port."""

    asked = 0

    async def run(self) -> Result:
        watching = asyncio.create_task(self._watch())
        try:
            return await super().run()
        finally:
            watching.cancel()
            await asyncio.wait({watching})

    async def _watch(self) -> None:
        watched: set[Replica] = set()
        async with asyncio.TaskGroup() as watchers:
            while True:
                ready = {
                    each
                    for each in (self.deployment.replicas if self.deployment else ())
                    if each.pod.ready
                }
                for replica in ready - watched:
                    for agent, kept in WATCHERS:
                        watchers.create_task(self._keep_asking(replica, agent, kept=kept))
                watched |= ready
                await asyncio.sleep(0.05)

    async def _keep_asking(self, replica: Replica, agent: str, *, kept: bool) -> None:
        connection: Connection | None = None
        try:
            while not replica.pod.finished:
                with contextlib.suppress(OSError, Lost):
                    connection = connection or await Connection.open(replica.port)
                    response = await connection.ask("/health", {"User-Agent": agent})
                    self.asked += 1
                if connection is not None and (connection.over or response.closes or not kept):
                    connection.close()
                    connection = None
                await asyncio.sleep(0.1)
        finally:
            if connection is not None:
                connection.close()
