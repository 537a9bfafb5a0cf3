"""A SIGTERM that comes to a worker before its server can take it: it is taken, and once."""

from __future__ import annotations

import pytest

from tests.unit.instrumentation.interpreters import Parent

FORKED = """
import os, signal
from lifecycle_worker.worker import worker

def term():
    os.kill(os.getpid(), signal.SIGTERM)

def of_master(*_):
    os.write(1, b"master ")

def of_worker(*_):
    os.write(1, b"worker ")

def takes():
    signal.signal(signal.SIGTERM, of_worker)

def serves():
    worker.serves("shop")

signal.signal(signal.SIGTERM, {handler})
pid = os.fork()
if not pid:
    for step in ({steps}):
        step()
    os._exit(0)
ended = os.waitpid(pid, 0)[1]
print(os.waitstatus_to_exitcode(ended))
"""


@pytest.mark.parametrize(
    ("handler", "steps", "said"),
    [
        ("of_master", "term, takes, serves", "master worker 0"),
        ("of_master", "term, term, takes, serves, serves", "master master worker 0"),
        ("of_master", "takes, term, serves", "worker 0"),
        ("of_master", "takes, serves, term", "worker 0"),
        ("of_master", "term, serves, takes, serves", "master 0"),
        ("of_master", "term, serves", "master 0"),
        ("signal.SIG_IGN", "term, takes, serves", "0"),
        ("signal.SIG_DFL", "term, takes, serves", "-15"),
    ],
)
def test_a_forked_worker(command: Parent, handler: str, steps: str, said: str) -> None:
    """What its master's handler took is sent once more, and nothing else is."""
    done = command.run(FORKED.format(handler=handler, steps=steps))

    assert (done.stdout, done.stderr) == (f"{said}\n", "")


AT_ONCE = """
import os, signal
from lifecycle_worker.early_signals import forks_workers

forks_workers()
signal.signal(signal.SIGTERM, lambda *_: os._exit(3))
codes = []
for _ in range(100):
    pid = os.fork()
    if not pid:
        signal.sigtimedwait([signal.SIGUSR1], 1)  # a handler ends it before
        os._exit(0)
    os.kill(pid, signal.SIGTERM)
    codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
print({*codes}, signal.pthread_sigmask(signal.SIG_BLOCK, ()))
"""


def test_a_signal_while_a_process_is_forked(command: Parent) -> None:
    """The interpreter would forget it. Afterwards nothing is blocked."""
    done = command.run(AT_ONCE)

    assert (done.stdout, done.stderr) == ("{3} set()\n", "")


RAISES = """
import os, signal

class Told(Exception):
    pass

def tell(*_):
    raise Told

signal.signal(signal.SIGALRM, tell)
taken = 0
for each in range(100):
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.001 + 0.00003 * each)
        for _ in range(5000):
            if not (pid := os.fork()):
                os._exit(0)
            os.waitpid(pid, 0)
    except Told:
        taken += 1
print(taken, signal.pthread_sigmask(signal.SIG_BLOCK, ()))
"""


def test_a_program_that_forks_and_raises_at_its_signal(command: Parent) -> None:
    """Its error is lost in no hook of ours, and nothing stays blocked: it is no server's master."""
    done = command.run(RAISES)

    assert (done.stdout, done.stderr) == ("100 set()\n", "")


NOTED = """
import asyncio, os, signal
from {module} import new_event_loop
from lifecycle_worker.worker import worker

loop = new_event_loop()
loop.add_signal_handler(signal.SIGTERM, loop.stop)
os.kill(os.getpid(), signal.SIGTERM)
worker.serves("shop")
worker.beat_on(loop)
loop.call_later(2, print, "it was lost")
loop.call_later(2, loop.stop)
loop.run_forever()
loop.close()
"""


@pytest.mark.parametrize("module", ["asyncio", "uvloop"])
def test_a_signal_before_a_loop_runs(command: Parent, module: str) -> None:
    """It is taken once the loop runs."""
    done = command.run(NOTED.format(module=module))

    assert (done.stdout, done.stderr) == ("", "")
