"""How a process is told to end, and how it must: in time, with the right code."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import time
from concurrent.futures import TimeoutError as Late
from typing import Final

from tests.fuzz import target
from tests.process.kit import App

PATIENCE: Final = 5.0
"""Seconds after the grace period in which its end is still looked for."""
LOOK: Final = 0.05


def ended(app: App, *, prestop: bool, codes: set[int]) -> tuple[float, list[str]]:
    """
    End a process as a kubelet does.

    Args:
        app: The process.
        prestop: Whether preStop comes first; SIGTERM follows its answer.
        codes: The exit codes that are right.

    Returns:
        The seconds it took, and what was wrong.
    """
    grace = float(app.env["LIFECYCLE_GRACE_PERIOD"])
    wrong = []
    began, waited = time.monotonic(), target.kept_waiting(app)
    if prestop:
        try:
            status, body, _ = app.prestop().result(grace + PATIENCE)
            if status != 200:
                wrong.append(f"preStop answered {status} {body[:80]!r}")
        except (Late, OSError) as error:
            wrong.append(f"preStop was not answered: {error!r}")
    app.signal(signal.SIGTERM)
    machine = 0.0
    while app.running and time.monotonic() < began + grace + PATIENCE:
        machine = max(machine, target.kept_waiting(app) - waited)
        with contextlib.suppress(subprocess.TimeoutExpired):
            app.process.wait(LOOK)
    seconds = time.monotonic() - began
    if seconds - machine > grace:
        wrong.append(
            f"it ended {seconds:.1f} s after the first word, of {grace:g} s "
            f"(the machine: {machine:.1f} s)"
        )
    if (code := app.process.poll()) not in codes:
        right = " or ".join(map(str, sorted(codes)))
        wrong.append(f"exit code {code}, not {right}")
    return seconds, wrong
