"""The command `lifecycle rehearse`: a rollout under load on this machine."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys

from lifecycle.cli import rehearse_options
from lifecycle.cli.console import encodable, fail, say, stdout_failed, warn
from lifecycle.rehearsal.display.progress import display
from lifecycle.rehearsal.errors import CannotRehearse
from lifecycle.rehearsal.plan import Plan
from lifecycle.rehearsal.rehearsal import Rehearsal
from lifecycle.rehearsal.report.text import Painter, render
from lifecycle.rehearsal.verdict.result import Result

CANNOT = 2
FILES = ("report", "junit")
"""The options that name a file for the result."""

add = rehearse_options.add


def run(options: argparse.Namespace) -> int:
    """
    Rehearse a rollout.

    Returns:
        0 if nothing was lost, 1 if requests were lost, 2 if the rehearsal was not possible, 3 if it
        was inconclusive. If nothing was lost, but the result could not be written: 2.
    """
    try:
        _check_files(options)
        plan = rehearse_options.plan_of(options)
        result = asyncio.run(_rehearse(plan))
    except CannotRehearse as error:
        return fail(error, CANNOT)
    except _Ended as ended:
        return 128 + ended.signum
    # The files first: the reader of stdout may be gone.
    written = [_write(option, getattr(options, option), result) for option in FILES]
    written.append(_show(result, as_json=options.json))
    return result.verdict.exit_code or (0 if all(written) else CANNOT)


class _Ended(Exception):
    def __init__(self, signum: int) -> None:
        self.signum = signum


async def _rehearse(plan: Plan) -> Result:
    task = asyncio.current_task()
    assert task is not None
    came: list[int] = []

    def end(signum: int) -> None:
        came.append(signum)
        task.cancel()

    # Stop every process also if a CI system sends SIGTERM, or the terminal is closed.
    for signum in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(signum) is not signal.SIG_IGN:  # as nohup does
            asyncio.get_running_loop().add_signal_handler(signum, end, signum)
    try:
        with display() as shown:
            return await Rehearsal(plan, shown.update).run()
    except (asyncio.CancelledError, OSError):  # OSError: the terminal is closed
        if came:
            raise _Ended(came[0]) from None
        raise


def _check_files(options: argparse.Namespace) -> None:
    named = {option: path for option in FILES if (path := getattr(options, option)) is not None}
    if len(named) > len({os.path.realpath(path) for path in named.values()}):
        raise CannotRehearse(
            f"--report and --junit both name {options.junit}: use two different files"
        )
    for option, path in named.items():
        _check_file(option, path)


def _check_file(option: str, path: str) -> None:
    """
    Check before the rehearsal that a file can be written.

    This removes the file of an earlier rehearsal: without a result there is no file.
    """
    try:
        with open(path, "w", encoding="utf-8"):
            pass
    except OSError as error:
        raise CannotRehearse(f"--{option} {path}: {error.strerror}") from None
    if os.path.isfile(path) and not os.path.islink(path):
        with contextlib.suppress(OSError):  # not our folder: the file stays, empty
            os.unlink(path)


def _write(option: str, path: str | None, result: Result) -> bool:
    from lifecycle.rehearsal.report.junit import junit
    from lifecycle.rehearsal.report.page import page

    if path is None:
        return True
    try:
        # An argument may have bytes that are not UTF-8, and HTML and XML cannot hold them.
        with open(path, "w", encoding="utf-8", errors="replace") as file:
            file.write(page(result) if option == "report" else junit(result))
    except OSError as error:
        warn(f"--{option} {path}: {error.strerror}", see=CannotRehearse.help_entry)
        return False
    say(f"{option}: {path}\n", sys.stderr)
    return True


def _show(result: Result, *, as_json: bool) -> bool:
    out = sys.stdout
    if out is None:  # it was closed before this process started
        return True
    text = json.dumps(result.to_json(), indent=2) if as_json else render(result, Painter(out))
    try:
        out.write(encodable(text, out) + "\n")
        out.flush()
    except OSError as error:
        stdout_failed(error)
        return False
    return True
