"""How a process is told to end, and how it must: in time, with the right code."""

from __future__ import annotations

import signal
import time
from concurrent.futures import TimeoutError as Late

from tests.process.kit import App


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
    began = time.monotonic()
    if prestop:
        try:
            status, body, _ = app.prestop().result(grace)
            if status != 200:
                wrong.append(f"preStop answered {status} {body[:80]!r}")
        except (Late, OSError) as error:
            wrong.append(f"preStop was not answered: {error!r}")
    app.signal(signal.SIGTERM)
    try:
        code = app.process.wait(max(0.1, began + grace + 5 - time.monotonic()))
    except TimeoutError:
        code = None
    except Exception as error:  # noqa: BLE001 - subprocess.TimeoutExpired
        wrong.append(repr(error))
        code = None
    seconds = time.monotonic() - began
    if seconds > grace:
        wrong.append(f"it ended {seconds:.1f} s after the first word, of {grace:g} s")
    if code not in codes:
        wrong.append(f"exit code {code}, not {' or '.join(map(str, sorted(codes)))}")
    return seconds, wrong
