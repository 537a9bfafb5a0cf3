"""`lifecycle rehearse`: an application, so it words its errors and owns the terminal."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys

from lifecycle.rehearsal.errors import CannotRehearse
from lifecycle.rehearsal.plan import Plan, Protocol, Traffic
from lifecycle.rehearsal.progress import display
from lifecycle.rehearsal.rehearsal import Rehearsal
from lifecycle.rehearsal.result import Result
from lifecycle.rehearsal.summary import Painter, render

CANNOT = 2


def rehearse(options: argparse.Namespace) -> int:
    """Rehearse: 0 if nothing was lost, 1 if something was, 2 if it could not be rehearsed."""
    try:
        plan = _plan(options)
        _check_report(options.report)
        result = asyncio.run(_run(plan))
    except CannotRehearse as error:
        print(f"lifecycle: {error}", file=sys.stderr)
        return CANNOT
    except asyncio.CancelledError:
        return 128 + signal.SIGTERM
    if options.report:
        from lifecycle.rehearsal.report.page import page

        with open(options.report, "w", encoding="utf-8") as file:
            file.write(page(result))
    if options.json:
        print(json.dumps(result.to_json(), indent=2))
    else:
        print(render(result, Painter()))
    if options.report:
        print(f"report: {options.report}", file=sys.stderr)
    return int(result.lost > 0)


async def _run(plan: Plan) -> Result:
    task = asyncio.current_task()
    assert task is not None
    # What was started is ended, also when a CI system has had enough.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    with display() as shown:
        return await Rehearsal(plan, shown.update).run()


def _plan(options: argparse.Namespace) -> Plan:
    traffic = Traffic(
        rate=options.rate,
        clients=options.clients,
        kept=options.kept,
        think=options.think,
        busy=options.busy,
        paths=tuple(options.path or ["/"]),
        slow=options.slow,
        slow_share=options.slow_share,
        protocols=tuple(Protocol(each) for each in options.protocol or ["http1"]),
        timeout=options.timeout,
        rtt=options.rtt,
        propagation=options.propagation,
        processes=options.processes,
    )
    cwd = options.cwd
    if cwd is not None and not os.path.isdir(cwd):
        raise CannotRehearse(f"--cwd {cwd}: there is no such folder")
    return Plan(
        tuple(options.command),
        traffic,
        rollouts=options.rollouts,
        replicas=options.replicas,
        prestop=options.prestop,
        ready=options.ready,
        grace=options.grace,
        start_time=options.start_time,
        cwd=cwd,
    )


def _check_report(path: str | None) -> None:
    """Find out before the rehearsal, not after it, that the report cannot be written."""
    if path is None:
        return
    try:
        with open(path, "a", encoding="utf-8"):
            pass
    except OSError as error:
        raise CannotRehearse(f"--report {path}: {error.strerror}") from None
