"""`lifecycle fleet rollout`: a rollout, watched to its end."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import shlex
import signal
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from lifecycle_fleet.options import add_cluster, add_data, namespace_of, seconds

if TYPE_CHECKING:
    from lifecycle_fleet.rollout.result import Rollout

GATE_SECONDS: Final = 10.0
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
FAILED: Final = 1
BY_SIGNAL: Final = 128
"""The exit code of a command that a signal has ended, less the number of the signal."""


def add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.description = (
        "Watch a rollout of a Deployment until its last old pod has left. The exit code is 0 only "
        "if the rollout is done, and no pod was killed, cut off, or had a failed hook."
    )
    parser.add_argument("target", metavar="deploy/NAME", help="the Deployment to watch")
    parser.add_argument(
        "--restart", action="store_true", help="restart the pods, like kubectl rollout restart"
    )
    parser.add_argument("--wait", action="store_true", help="wait for a rollout if none is running")
    parser.add_argument(
        "--timeout",
        type=seconds,
        metavar="SECONDS",
        help="give up after this time (default: after the progress deadline and the longest grace "
        "period without any progress)",
    )
    parser.add_argument(
        "--gate",
        action="store_true",
        help="pause after the first new pod, and undo the rollout unless this pod stays ready and "
        "an old pod leaves cleanly",
    )
    parser.add_argument(
        "--gate-seconds",
        type=seconds,
        default=GATE_SECONDS,
        metavar="SECONDS",
        help=f"the time that the first new pod must stay ready (default: {GATE_SECONDS:g})",
    )
    parser.add_argument("--report", metavar="FILE", default="", help="write an HTML report")
    add_data(parser)
    add_cluster(parser)


def _deployment(text: str) -> str:
    """Return the name of the Deployment that a person names."""
    from lifecycle_fleet.cluster.kinds import DEPLOYMENT
    from lifecycle_fleet.cluster.targets import target_of
    from lifecycle_fleet.errors import Misused

    target = target_of(text if "/" in text else f"deploy/{text}")
    if target.kind != DEPLOYMENT:
        raise Misused(f"rollout takes a Deployment, and {target} is not one. Use deploy/NAME")
    return target.name


async def run(options: argparse.Namespace) -> int:
    """Watch, and print what each pod took."""
    from lifecycle_fleet.cluster.api import connected
    from lifecycle_fleet.errors import FleetError
    from lifecycle_fleet.rollout.display.progress import display
    from lifecycle_fleet.rollout.report.file import writable
    from lifecycle_fleet.rollout.session import Plan, Session

    name = _deployment(options.target)
    if options.report:
        writable(options.report)
    async with connected(options.kubeconfig, options.context) as api:
        namespace = namespace_of(options, api.config.namespace)
        where = _where(options, namespace)
        plan = Plan(
            namespace=namespace,
            name=name,
            where=where,
            restart=options.restart,
            wait=options.wait,
            timeout=options.timeout,
            gate=options.gate_seconds if options.gate else None,
        )
        with display() as shown, _interrupts() as interrupt:
            session = Session(api, plan, shown)
            error: FleetError | None = None
            try:
                await session.run()
            except asyncio.CancelledError:
                if not interrupt.number:
                    raise
            except FleetError as failed:
                error = failed
    if session.last is not None and session.begun:
        _tell(session.last, options, where)
    if error is not None:
        raise error
    if interrupt.number:
        return BY_SIGNAL + interrupt.number
    return 0 if session.last is not None and session.last.passed else FAILED


def _where(options: argparse.Namespace, namespace: str) -> str:
    """Return the options that name the cluster and the namespace, for commands to copy."""
    words = ["-n", namespace]
    for name in ("context", "kubeconfig"):
        if given := getattr(options, name):
            words += [f"--{name}", given]
    return shlex.join(words)


def _tell(rollout: Rollout, options: argparse.Namespace, where: str) -> None:
    from lifecycle_fleet.rollout.report import document, page, text
    from lifecycle_fleet.rollout.report.file import write

    if options.output:
        print(document.render(rollout, options.output))
    else:
        print(text.render(rollout, text.Painter(), where))
    if options.report:
        write(options.report, page.page(rollout))


class _Interrupt:
    """The signal that has ended the command, or 0."""

    number = 0


@contextlib.contextmanager
def _interrupts() -> Iterator[_Interrupt]:
    """
    Cancel the task on a signal, so that the gate can undo what it holds.

    A second signal cancels this too.
    """
    found, task, loop = _Interrupt(), asyncio.current_task(), asyncio.get_running_loop()
    if threading.current_thread() is not threading.main_thread() or task is None:
        yield found
        return

    def interrupt(number: int) -> None:
        found.number = number
        task.cancel()

    for each in SIGNALS:
        loop.add_signal_handler(each, interrupt, each)
    try:
        yield found
    finally:
        for each in SIGNALS:
            loop.remove_signal_handler(each)
