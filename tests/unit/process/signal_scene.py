"""A scene of signals: a process of its own, with the watching loop in a thread."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from typing import Any

PRELUDE = """
import asyncio, json, os, queue, signal, threading
from lifecycle.process.signals import Signals
TERM, INT, USR1 = signal.SIGTERM, signal.SIGINT, signal.SIGUSR1
got = queue.Queue()          # what our side was told of
theirs = []                  # what the app's own handlers were called with
signals = Signals(got.put)
signals.take()
control = asyncio.SelectorEventLoop()
signals.watch(control)
threading.Thread(target=control.run_forever, daemon=True).start()

def send(number): os.kill(os.getpid(), number)
def handler(number, frame=None): theirs.append(signal.Signals(number).name)
def nothing_more():
    done = threading.Event()
    control.call_soon_threadsafe(lambda: control.call_soon(done.set))
    done.wait(10)
    return got.empty()
def terminated_child():
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.write(write, b"x")
        while True:
            signal.pause()
    os.read(read, 1)
    os.kill(child, TERM)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
def say(**what): print(json.dumps(what), flush=True)
"""

LOOPS = ["asyncio.new_event_loop()", "__import__('uvloop').new_event_loop()"]

# That a process with threads forks is what one of the scenes is about.
QUIET = ("-W", "ignore::ResourceWarning", "-W", "ignore::DeprecationWarning")


def play(source: str, before: str = "") -> dict[str, Any]:
    """Run a scene, and return what it said; `before`: what comes before ours."""
    ran = subprocess.run(
        [sys.executable, *QUIET, "-c", before + PRELUDE + textwrap.dedent(source)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == ""
    said: dict[str, Any] = json.loads(ran.stdout)
    return said
