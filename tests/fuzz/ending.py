"""How a process is told to end, and how it must: in time, with the right code."""

from __future__ import annotations

import contextlib
import re
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
CUT_OFF: Final = 124
UNANSWERED: Final = re.compile(r"\b[1-9]\d* (requests?|connections?)\b|\b(GET|POST) /")
"""How a drain's report names what it has cut off where clients have asked for something."""


def ended(app: App, *, prestop: bool, cuts: bool) -> tuple[float, list[str]]:
    """
    End a process as a kubelet does.

    Args:
        app: The process.
        prestop: Whether preStop comes first; SIGTERM follows its answer.
        cuts: Whether requests may be unanswered at the deadline: then 124 is right, if the
            report names them. Otherwise, and if it names none, 0 is.

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
    cut_off = [each for report in app.events("drain report") for each in report.get("cut_off", ())]
    right = CUT_OFF if cuts and any(map(UNANSWERED.search, cut_off)) else 0
    if (code := app.process.poll()) != right:
        wrong.append(f"exit code {code}, not {right}; cut off: {cut_off}")
    return seconds, wrong
