"""The process under fire, as the outside sees it."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from pathlib import Path
from typing import Any, Final

from tests.process.kit import App

HERE: Final = Path(__file__).parent
CERTIFICATE: Final = HERE.parent / "testing" / "certificate.pem"
OURS: Final = "tests.fuzz.served.Boom", "served.Boom"
ODD: Final = (
    "exception was never retrieved",
    "was never awaited",
    "Task was destroyed",
    "Exception in callback",
    "Exception ignored",
)


def start(cwd: Path, settings: dict[str, str], *, tls: bool) -> App:
    """Start the app as users do."""
    certificate = ["--certfile", str(CERTIFICATE), "--keyfile", str(CERTIFICATE)] if tls else []
    argv = ["-m", "lifecycle", "run", "--asgi", "served:app", "--app-dir", str(HERE)]
    from tests.process.kit import free_port

    port = free_port()
    argv += ["--bind", f"127.0.0.1:{port}", "--service", "served", *certificate]
    return App.start(argv, env=settings | {"PORT": str(port)}, cwd=cwd)


def memory(app: App, what: str = "VmRSS") -> float:
    """Return MiB: `VmRSS` now, `VmHWM` at most since `forget_peak`."""
    text = Path(f"/proc/{app.pid}/status").read_text()
    return int(re.findall(rf"{what}:\s+(\d+)", text)[0]) / 1024


def forget_peak(app: App) -> None:
    """Let `VmHWM` begin anew."""
    Path(f"/proc/{app.pid}/clear_refs").write_text("5")


def descriptors(app: App) -> int:
    """Return how many are open."""
    return len(os.listdir(f"/proc/{app.pid}/fd"))


def kept_waiting(app: App) -> float:
    """
    Return the seconds for which the machine has kept the process from running, so far.

    Of the thread that has waited longest: it was ready to run, and others had the cores.
    """
    longest = 0
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{app.pid}/task").iterdir():
            with contextlib.suppress(OSError, IndexError):  # a thread that has just ended
                longest = max(longest, int((task / "schedstat").read_text().split()[1]))
    return longest / 1e9


def in_flight(app: App) -> int:
    """Return what `/status` says, over the control socket."""
    status: dict[str, Any] | None = app.status()
    return -1 if status is None else status["in_flight"]


def complaints(stderr: str) -> list[str]:
    """Return what a process should not have said: tracebacks but the app's own, lost tasks."""
    found = [line for line in stderr.splitlines() if any(each in line for each in ODD)]
    for block in stderr.split("Traceback (most recent call last)")[1:]:
        last = next((line for line in block.splitlines()[1:] if line[:1].strip()), "")
        if not last.startswith(OURS) and "Boom" not in block[:6000]:
            found.append(f"a traceback: {last}")
    if not found:
        return []
    with tempfile.NamedTemporaryFile("w", prefix="fuzz-", suffix=".stderr", delete=False) as kept:
        kept.write(stderr)
    return [*sorted(set(found), key=found.index), f"its log is kept: {kept.name}"]
