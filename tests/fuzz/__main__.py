"""
Fuzz the app's port and the QOS port of `lifecycle run --asgi`; `make fuzz` runs it.

    make fuzz                       all parts, a million requests, both ends of each flood
    make fuzz SECONDS=60            about a minute: each part its share, each flood once
    make fuzz PART=h2               one part: h1, h2, ws, tls, qos, floods
    make fuzz PART=floods FLOOD="h2 ping, QOS"    floods whose name has this in it
    make fuzz SEED=… PART=h1 CASE=123             one case of a part, once more

The seed is printed. Each part starts a process, plays cases against it while a kubelet's
probes and an ordinary client are answered, and lets it go: nothing may be in flight, its
memory and descriptors must be back, its log clean, its end in time and 0.

By the rates of its parts all of it takes some 20 minutes on two cores that do nothing else.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from tests.fuzz import floods, target
from tests.fuzz.ending import ended
from tests.fuzz.watch import Watch, bystander

SETTINGS: Final = {
    "LIFECYCLE_SETTLE": "2",
    "LIFECYCLE_QUIET": "0.5",
    "LIFECYCLE_STOP_TIMEOUT": "2",
    "LIFECYCLE_GRACE_PERIOD": "12",
}
SHARES: Final = {"h1": 0.5, "h2": 0.2, "ws": 0.05, "tls": 0.05, "qos": 0.2}
"""How much of a million requests each part gets: what is cheap to ask gets more."""
TIMES: Final = {"h1": 0.25, "h2": 0.25, "ws": 0.15, "tls": 0.2, "qos": 0.15}
"""How much of a minute each part gets."""
REQUESTS: Final = 1_000_000
LONGEST: Final = 3600.0
AT_ONCE: Final = 2
"""Processes under fire at a time, where there is a minute only."""
FLOOD: Final = 3.0
SHORT_FLOOD: Final = 1.5


def fuzzed(part: str, seed: str, budget: dict[str, Any], *, prestop: bool) -> list[str]:
    """Fuzz one port; returns what was wrong."""
    tls = part == "tls"
    with (
        tempfile.TemporaryDirectory() as folder,
        target.start(Path(folder), SETTINGS, tls=tls) as app,
        bystander() as by,
    ):
        app.wait_state("ready")
        port = app.qos if part == "qos" else app.port
        _played(part, port, "warm-up", {"seconds": 5.0, "requests": 3000})
        base, files = target.memory(app), target.descriptors(app)
        target.forget_peak(app)
        with Watch(app, by, ask_app=not tls) as watch:
            found = _played(part, port, seed, budget)
            growth = target.memory(app, "VmHWM") - base
            result = floods.Result(floods.Trial(part, part == "qos", prestop), watch.seen, growth)
            floods.look_back(result, app, base, files)
            watch.draining = True
            result.left, wrong = ended(app, prestop=prestop, cuts=False)
        wrong += [*found["faults"], *watch.seen.faults, *result.faults]
        wrong += target.complaints(app.stderr)
    if growth > floods.GROWTH:
        wrong.append(f"memory +{growth:.0f} MiB")
    seen = watch.seen
    print(
        f"{part:6} {found['requests']:,} requests on {found['connections']:,} connections in "
        f"{found['seconds']:.0f} s; {seen.probes} probes, slowest {seen.slowest * 1000:.0f} ms; "
        f"{seen.ordinary} ordinary requests, slowest {seen.slowest_ordinary * 1000:.0f} ms; "
        f"memory +{growth:.1f} MiB, kept {result.kept:.1f}; left after {result.left:.1f} s",
        *(f"\n    FAULT {each}" for each in wrong),
        flush=True,
    )
    return wrong


def _played(part: str, port: int, seed: str, budget: dict[str, Any]) -> dict[str, Any]:
    orders = {"part": part, "port": port, "seed": seed, **budget}
    argv = [sys.executable, "-m", "tests.fuzz.play", json.dumps(orders)]
    limit = budget["seconds"] + 60
    done = subprocess.run(argv, stdout=subprocess.PIPE, timeout=limit, check=True, cwd=floods.ROOT)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def budgets(part: str, seconds: float, requests: int) -> dict[str, dict[str, Any]]:
    """Return what each part may use up; `seconds`: half of a minute is for the floods."""
    shares = {part: 1.0} if part in SHARES else {} if part else TIMES if seconds else SHARES
    if seconds:
        mine = seconds if part else seconds / 2 * AT_ONCE
        return {
            each: {"seconds": mine * share, "requests": sys.maxsize}
            for each, share in shares.items()
        }
    return {
        each: {"seconds": LONGEST, "requests": int(requests * share)}
        for each, share in shares.items()
    }


def main() -> int:
    """Fuzz; 1 if something was wrong."""
    asked = os.environ.get
    seed = asked("SEED") or secrets.token_hex(4)
    part, case = asked("PART", ""), asked("CASE", "")
    seconds, requests = float(asked("SECONDS") or 0), int(asked("REQUESTS") or REQUESTS)
    one = {"first": int(case), "cases": 1} if case else {}
    print(f"SEED={seed}", flush=True)
    began, wrong = time.monotonic(), []
    with ThreadPoolExecutor(AT_ONCE if seconds else 1) as pool:
        parts = [
            pool.submit(fuzzed, each, seed, budget | one, prestop=number % 2 == 0)
            for number, (each, budget) in enumerate(budgets(part, seconds, requests).items())
        ]
        for each in parts:
            wrong += each.result()
    if part in ("", "floods"):
        long, at_once = (SHORT_FLOOD, AT_ONCE + 1) if seconds else (FLOOD, AT_ONCE)
        results = floods.run(asked("FLOOD", ""), long, every=not seconds, at_once=at_once)
        wrong += [f"{each.trial}: {fault}" for each in results for fault in each.faults]
    print(f"{len(wrong)} faults, {time.monotonic() - began:.0f} s, SEED={seed}")
    return int(bool(wrong))


if __name__ == "__main__":
    raise SystemExit(main())
