"""Commands for the tests of `lifecycle run -- COMMAND`, and how they are started."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lifecycle.process.command.processes import Process, everybody
from tests.process.kit import QUICK, App, free_port

Start = Callable[..., App]

TELLTALE = """
import json, os, signal, socket, sys, time

told = open(os.environ["TOLD"], "a", buffering=1)
def tell(what, **more):
    print(json.dumps({"what": what, "pid": os.getpid(), "at": time.monotonic(), **more}), file=told)

def got(number, _):
    name = signal.Signals(number).name
    tell("signal", name=name)
    if name in os.environ.get("ENDS_BY", "SIGTERM").split():
        raise SystemExit(int(os.environ.get("CODE", 0)))

fds = sorted(int(fd) for fd in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{fd}"))
dispositions = {n: str(signal.getsignal(n)) for n in
                ("SIGINT SIGQUIT SIGHUP SIGTERM SIGUSR1 SIGUSR2 SIGPIPE SIGCHLD").split()
                for n in (getattr(signal, n),)}
ignored = [signal.Signals(n).name for n in signal.valid_signals()
           if signal.getsignal(n) is signal.SIG_IGN]
for name in ("TERM", "INT", "QUIT", "HUP", "USR1", "USR2", "WINCH", "TTIN", "TTOU"):
    signal.signal(getattr(signal, "SIG" + name), got)
listener = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
tell("up", fds=[fd for fd in fds if fd != told.fileno()], ignored=ignored, group=os.getpgrp(),
     masked=[int(n) for n in signal.pthread_sigmask(signal.SIG_BLOCK, [])],
     uwsgi=os.environ.get("UWSGI_DIE_ON_TERM"))
while True:
    time.sleep(60)
"""
"""A program that listens on a port, and tells what it meets in the file TOLD."""

BECOME = "import os, sys; os.execvp(sys.argv[1], sys.argv[1:])"


def run(
    start: Start,
    folder: Path,
    *command: str,
    options: Sequence[str] = (),
    tty: bool = False,
    before: Sequence[str] = (),
    **env: str,
) -> App:
    """
    Start `lifecycle run --service shop:PORT OPTIONS -- COMMAND`.

    Args:
        start: The fixture.
        folder: Where it runs.
        command: Its words; `{port}` is its port.
        options: Of `lifecycle run`; likewise.
        tty: Give it a terminal.
        before: A program in front of `lifecycle`, and its arguments.
        env: Settings.
    """
    port = str(free_port())
    options, words = (
        [each.replace("{port}", port) for each in those] for those in (options, command)
    )
    argv = ["-m", "lifecycle", "run", "--service", f"shop:{port}", *options, "--", *words]
    if before:  # the kit starts Python
        argv = ["-c", BECOME, *before, sys.executable, *argv]
    return start(
        argv, cwd=folder, tty=tty, env=QUICK | {"PORT": port, "TOLD": str(folder / "told"), **env}
    )


def telltale(start: Start, folder: Path, **more: Any) -> App:
    """Start TELLTALE under `lifecycle run`, and return once it is READY."""
    (folder / "telltale.py").write_text(TELLTALE)
    options = ("--instrument=no", *more.pop("options", ()))  # it tells nothing, so none is awaited
    app = run(start, folder, sys.executable, "telltale.py", options=options, **more)
    app.wait_state("ready")
    return app


def told(folder: Path, what: str = "") -> list[dict[str, object]]:
    """Return what TELLTALE has told so far."""
    path = folder / "told"
    lines = path.read_text().splitlines() if path.exists() else []
    return [each for each in map(json.loads, lines) if not what or each["what"] == what]


def descendants(pid: int) -> list[Process]:
    """Return who runs, or has ended and is not reaped, below a process."""
    found = everybody()
    below: list[Process] = []
    parents = {pid}
    while more := [each for each in found if each.parent in parents and each not in below]:
        below += more
        parents |= {each.pid for each in more}
    return below
