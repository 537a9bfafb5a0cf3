"""
A service is started, taken offline and online, put under load, and rolled while the load
goes on. Then the same app is rolled under plain uvicorn. Run it: `make demo`.

Exit code 0 if pod-lifecycle lost nothing, 1 otherwise.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import tempfile

from deployment import Deployment, Lifecycle, Uvicorn
from display import Stage
from record import Rollout
from report import report

from lifecycle.rehearsal.errors import CannotRehearse
from lifecycle.testing import Kubelet, PodEnded


async def ours(stage: Stage, kubelet: Kubelet, run_dir: str) -> Rollout:
    with stage.act("lifecycle run --asgi shop:app", span=16.0) as record:
        async with Deployment(record, kubelet, Lifecycle(), run_dir) as orders:
            record.scene("1  It starts, and is not ready before the directory has acknowledged it")
            pod = await orders.add("orders-1")
            await asyncio.sleep(0.5)

            record.scene("2  An operator takes it out of traffic, and puts it back")
            await orders.switch(pod, "offline")
            await asyncio.sleep(1.0)
            await orders.switch(pod, "online")

            record.scene("3  Load: 40 clients, half keep their connections, some ask for slow work")
            await orders.begin()
            await asyncio.sleep(2.2)

            record.scene("4  The rollout: a second replica first")
            await orders.add("orders-2")
            record.scene("5  The first one is deleted; clients hear of it up to 2 s late")
            await orders.replace(pod)
            await asyncio.sleep(1.5)

            record.scene("6  Rolled")
            await orders.load.end()
            record.end()
    return orders.rollout


async def theirs(stage: Stage, kubelet: Kubelet, run_dir: str) -> list[Rollout]:
    with stage.act("The same app, the same load, the same rollout", span=9.5) as record:
        record.scene("7  The same under plain uvicorn, without and with a sleep in preStop")
        async with (
            Deployment(record, kubelet, Uvicorn(), run_dir) as bare,
            Deployment(record, kubelet, Uvicorn(sleep=3.0), run_dir) as sleepy,
        ):
            await asyncio.gather(_roll(bare, "bare"), _roll(sleepy, "sleep"))
            await asyncio.sleep(0.5)
            await asyncio.gather(bare.load.end(), sleepy.load.end())
            record.end()
    return [bare.rollout, sleepy.rollout]


async def _roll(deployment: Deployment, name: str) -> None:
    first = await deployment.add(f"{name}-1")
    await deployment.begin()
    await deployment.add(f"{name}-2")
    await deployment.replace(first)


async def play(stage: Stage) -> bool:
    me = asyncio.current_task()
    for name in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(name, me.cancel)
    with tempfile.TemporaryDirectory(prefix="lifecycle-demo-") as run_dir:
        async with Kubelet() as kubelet:
            mine = await ours(stage, kubelet, run_dir)
            others = await theirs(stage, kubelet, run_dir)
    report(stage.console, mine, others)
    return mine.lost == 0 and mine.served > 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plain", action="store_true", help="lines, as without a terminal")
    parser.add_argument("--svg", metavar="PATH", help="also draw the last picture into a file")
    options = parser.parse_args()
    sys.stdout.reconfigure(errors="replace")
    stage = Stage(plain=options.plain)
    try:
        good = asyncio.run(play(stage))
    except (TimeoutError, PodEnded, CannotRehearse) as error:
        print(error, file=sys.stderr)
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("\nstopped; nothing is left running", file=sys.stderr)
        return 130
    if options.svg:
        stage.save_svg(options.svg)
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
