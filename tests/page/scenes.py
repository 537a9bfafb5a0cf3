"""Made-up answers of `/status` and `/inflight`, for every state in which the page can be seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from lifecycle.status_records import (
    DrainStatus,
    InFlight,
    InFlightEntry,
    ProbeStatus,
    ServiceStatus,
    Snapshot,
    StartStatus,
    WorkerStatus,
)

NOW: Final = 1_790_000_000.0
POD: Final = "shop-7d9f6c5b8-x2lqp"
BEGAN: Final = NOW - 3_723.0
"""When the process of the scenes has started."""


class Scene(NamedTuple):
    """What the app answers."""

    status: Snapshot
    work: InFlight


STEPS: Final = (
    ("process", 0.0, 0.09),
    ("program", 0.09, 0.21),
    ("plugin kubernetes", 0.31, 0.04),
    ("QOS port", 0.35, 0.01),
    ("imports", 0.36, 1.74),
    ("lifespan", 2.1, 0.82),
    ("main", 2.92, 0.06),
    ("registry kubernetes", 2.93, 0.03),
    ("registration orders@kubernetes", 2.98, 0.31),
    ("registration billing@kubernetes", 2.98, 0.22),
    ("startup probe postgres", 3.1, 0.18),
)
PATH: Final = (
    ("starting", "exporting", 2.98, "export"),
    ("exporting", "registered", 3.29, "registered"),
    ("registered", "ready", 3.31, "ready"),
)


def transitions(*more: tuple[str, str, float, str], path: int = 3) -> list[Any]:
    """Return the transitions so far; each time is in seconds since the process started."""
    return [
        {"from": before, "to": after, "at": BEGAN + at, "cause": cause}
        for before, after, at, cause in (*PATH[:path], *more)
    ]


def service(
    name: str, port: int | None, *, held: dict[str, str] | None = None, **where: str
) -> ServiceStatus:
    """Return a service; each registry says `yes`, `no`, or `unknown: the reason`."""
    return {
        "name": name,
        "port": port,
        "online": not held,
        "held_by": held or {},
        "registrations": {
            registry: {
                "registered": said.partition(": ")[0],
                "required": True,
                "reason": said.partition(": ")[2],
            }
            for registry, said in where.items()
        },
    }


def probe(kind: str, name: str, reason: str, *, ok: bool = True, ms: float = 0.1) -> ProbeStatus:
    """Return the answer of a probe."""
    return {"kind": kind, "name": name, "ok": ok, "ms": ms, "reason": reason, "age": 2.4}


def probes(state: str, *, services: str = "serving orders, billing") -> list[ProbeStatus]:
    """Return the answers of the built-in probes and of one plugin."""
    ready = state == "ready"
    return [
        probe(
            "startup", "state", f"the state is {state}", ok=state not in ("starting", "exporting")
        ),
        probe("readiness", "state", f"the state is {state}", ok=ready),
        probe("readiness", "services", services),
        probe("readiness", "loop", "the app's loop was last seen 0.1 s ago"),
        probe("readiness", "app.postgres", "14 of 20 connections are free", ms=3.2),
        probe("liveness", "state", f"the state is {state}"),
        probe("liveness", "loop", "the app's loop was last seen 0.1 s ago"),
    ]


def entry(
    name: str, age: float, agent: str = "", protocol: str = "http/1.1", worker: int = 7
) -> InFlightEntry:
    """Return a piece of work in flight."""
    return {"name": name, "agent": agent, "age": age, "worker": worker, "protocol": protocol}


def work(*entries: InFlightEntry, total: int | None = None) -> InFlight:
    """Return what `/inflight` answers."""
    return {
        "in_flight": len(entries) if total is None else total,
        "shown": len(entries),
        "entries": list(entries),
    }


WORK: Final = work(
    entry("GET /export/2026-09", 41.3, "python-requests/2.32"),
    entry("WS /events", 38.0, "Mozilla/5.0 (X11; Linux x86_64) Firefox/143.0", "websocket"),
    entry("import 17", 12.6, "", "task"),
    entry("POST /orders", 0.8, "okhttp/5.1"),
    entry("/shop.Orders/Watch", 0.4, "grpc-go/1.75", "grpc"),
    entry("GET /orders/4711", 0.1, "curl/8.14", "http/2"),
)
SERVICES: Final = (
    service("orders", 8080, kubernetes="yes", local="yes"),
    service("billing", 8081, kubernetes="yes", local="yes"),
)


def start(steps: int = len(STEPS), *, running: str = "", seconds: float = 3.31) -> StartStatus:
    """Return the start report."""
    found: list[Any] = [
        {"name": name, "began": began, "seconds": took} for name, began, took in STEPS[:steps]
    ]
    if running:
        began = STEPS[steps][1]
        took = round(seconds - began, 3)
        found.append({"name": running, "began": began, "seconds": took, "running": True})
    slowest = max(found, key=lambda step: step["seconds"])["name"]
    return {"seconds": seconds, "over": not running, "steps": found, "slowest": slowest}


def status(state: str = "ready", **more: Any) -> Snapshot:
    """Return a status; what is not given is that of a healthy app an hour after its start."""
    path = more.get("transitions", transitions())
    found: dict[str, Any] = {
        "state": state,
        "since": path[-1]["at"] if path else BEGAN,
        "in_flight": len(WORK["entries"]),
        "requests": 184_203,
        "told_to_go": 0,
        "services": list(SERVICES),
        "probes": probes(state),
        "probe_runs": [],
        "registration_runs": [],
        "loop_lag": 0.004,
        "transitions": path,
        "start": start(),
        "drain": None,
        "workers": [],
        "plugins": [
            {"name": name, "ok": True, "problem": ""}
            for name in ("state", "services", "loop", "start", "drain", "local", "page", "commands")
        ],
        "pid": 7,
        "version": "0.2.0",
        "pod": POD,
        "namespace": "shop",
        "now": NOW,
    }
    return found | more  # type: ignore[return-value]


def drain(elapsed: float, steps: dict[str, float], step: str = "wait", **more: Any) -> DrainStatus:
    """Return a drain that SIGTERM has started."""
    arrivals = [212, 187, 96, 41, 9, 2, 0, 1, 0, 0, 0, 0, 0, 0][: int(elapsed) + 1]
    found: dict[str, Any] = {
        "step": step,
        "cause": "SIGTERM",
        "deadline": max(0.0, 25.0 - elapsed),
        "elapsed": elapsed,
        "steps": steps,
        "waiting_for": [],
        "disturbed_by": [],
        "last_connection": 4.2,
        "last_request": 5.1,
        "arrivals": arrivals,
        "connections": [each // 3 for each in arrivals],
        "listened": None,
        "after_closing": None,
    }
    return found | more  # type: ignore[return-value]


def draining() -> Scene:
    """Return a drain that waits for an export and a hook."""
    left = work(*WORK["entries"][:3])
    gone = [service(each["name"], each["port"], kubernetes="no", local="no") for each in SERVICES]
    return Scene(
        status(
            "draining",
            transitions=transitions(("ready", "draining", 3_709.8, "SIGTERM")),
            in_flight=3,
            told_to_go=118,
            services=gone,
            probes=probes("draining", services="orders unregistered, billing unregistered"),
            drain=drain(
                13.2,
                {"deregister": 0.21, "settle": 5.0},
                waiting_for=[
                    "3 in flight: GET /export/2026-09 from python-requests/2.32, WS /events, import 17",
                    "the lifecycle_drain hook of kafka",
                ],
            ),
        ),
        left,
    )


def worker(pid: int, in_flight: int, served: int, *, stalled: float = 0.0) -> WorkerStatus:
    """Return a worker of gunicorn."""
    return {
        "pid": pid,
        "server": "gunicorn gthread",
        "age": 3_719.2,
        "stalled": stalled,
        "in_flight": in_flight,
        "served": served,
    }


def many() -> Scene:
    """Return 200 services and 1,000 in flight."""
    services = [
        service(f"shop-{n:03}", 8000 + n, kubernetes="yes", local="yes") for n in range(197)
    ]
    services += [
        service("shop-197", 8197, kubernetes="unknown: connection refused", local="yes"),
        service("shop-198", 8198, kubernetes="no: 403 Forbidden", local="yes"),
        service("shop-199", 8199, held={"operator": "unix socket"}, kubernetes="no", local="no"),
    ]
    entries = [
        entry(f"GET /orders/{n}", 90.0 - n * 0.089, f"client-{n % 7}/1.{n % 10}", worker=7 + n % 4)
        for n in range(1000)
    ]
    reason = "serving shop-000, shop-001, shop-002 and 196 more"
    return Scene(
        status(services=services, in_flight=1000, probes=probes("ready", services=reason)),
        work(*entries),
    )


HOSTILE: Final = (
    "<script>complaints.push('script')</script>",
    "<img src=x onerror=\"complaints.push('image')\">",
    "\"'><svg onload=complaints.push('svg')>",
    "javascript:complaints.push('link')",
    "</style><style>*{display:none!important}</style>",
    "{{constructor.constructor('complaints.push(1)')()}}",
    "\u202edetrever\u202c and \u2066isolated",
    "line\r\nfeed\x00\x1b[31mred\x7f",
    "👩‍👩‍👧‍👦 שלום سلام \U000e0041 z\u0351\u034a\u0351a",
    "__proto__",
    "x" * 5000,
)
"""Texts that nobody should be able to make more of than text."""


def attacked(text: str) -> Scene:
    """Return a status in which every text that is not ours is a hostile one."""
    found = status(
        version=text,
        pod=text,
        namespace=text,
        services=[service(text, 80, held={text: text}, **{text: f"no: {text}", "local": text})],
        probes=[probe("readiness", text, text, ok=False), probe(text, "odd", text)],
        transitions=[
            *transitions(),
            {"from": "ready", "to": "draining", "at": NOW - 9, "cause": text},
        ],
        state="draining",
        start={
            "seconds": 3.0,
            "over": False,
            "steps": [{"name": text, "began": 0.0, "seconds": 3.0, "running": True}],
            "slowest": text,
        },
        drain=drain(9.0, {"settle": 5.0}, cause=text, waiting_for=[text], disturbed_by=[text]),
        workers=[worker(11, 1, 2) | {"server": text}],
        plugins=[{"name": text, "ok": False, "problem": text}],
    )
    return Scene(found, work(entry(text, 9.0, text, text)))


def _scenes() -> dict[str, Scene]:
    starting = status(
        "starting",
        transitions=[],
        since=NOW - 4.6,
        in_flight=0,
        requests=0,
        services=[],
        probes=[
            probe("startup", "state", "the state is starting", ok=False),
            probe("liveness", "state", "the state is starting"),
        ],
        start=start(4, running="imports", seconds=4.6),
    )
    held = {"operator": "unix socket"}
    offline = status(
        services=[
            service("orders", 8080, held=held, kubernetes="no", local="no"),
            service("billing", 8081, held=held, kubernetes="no", local="no"),
        ],
        in_flight=0,
    )
    offline["probes"][2] |= {"ok": False, "reason": "orders offline, billing offline"}
    failed = status()
    failed["probes"][4] |= {
        "ok": False,
        "reason": "connection to postgres:5432 refused",
        "ms": 803.1,
    }
    over = {"deregister": 0.21, "settle": 5.0, "quiet": 6.1, "wait": 6.1, "stop": 7.4, "close": 7.5}
    leaving = ("ready", "draining", 3_715.0, "SIGTERM")
    stopped = status(
        "stopped",
        transitions=transitions(leaving, ("draining", "stopped", 3_722.4, "main returned")),
        in_flight=0,
        services=[service("orders", 8080, kubernetes="no", local="no")],
        probes=probes("stopped", services="orders unregistered"),
        drain=drain(7.5, over, "close", deadline=17.5),
    )
    stopped["probes"][5]["ok"] = False
    crashed = status(
        "failed",
        transitions=transitions(
            ("registered", "draining", 3.4, "main raised"),
            ("draining", "failed", 4.0, "ValueError: no database"),
            path=2,
        ),
        in_flight=0,
        drain=drain(0.6, {"deregister": 0.1, "stop": 0.2}, "close", cause="main raised"),
    )
    command = status(workers=[worker(11, 2, 51_203), worker(12, 4, 50_118, stalled=6.2)])
    return {
        "starting": Scene(starting, work()),
        "ready": Scene(status(), WORK),
        "offline": Scene(offline, work()),
        "failed-probe": Scene(failed, WORK),
        "draining": draining(),
        "stopped": Scene(stopped, work()),
        "failed": Scene(crashed, work()),
        "command": Scene(command, work(*(each | {"worker": 12} for each in WORK["entries"]))),  # type: ignore[arg-type]
        "many": many(),
    }


SCENES: Final = _scenes()
NAMES: Final[Sequence[str]] = tuple(SCENES)
