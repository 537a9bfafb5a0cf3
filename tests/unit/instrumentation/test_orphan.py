"""A worker whose parent was killed: who is told to end, and how often."""

from __future__ import annotations

import pytest

from tests.unit.instrumentation.interpreters import Parent

WORKERS = """
import os, signal, sys
from lifecycle_worker import orphan as module
from lifecycle_worker.orphan import PATIENCE, Orphan
from lifecycle_worker.worker import worker

board = worker.board
read, write = os.pipe()
told = []
signal.signal(signal.SIGTERM, lambda *_: told.append(1))
{before}

def work():
    orphan = Orphan(board)
    module.has_parent = lambda board: {has_parent}
    for at in (100, 100 + PATIENCE / 2, 100 + PATIENCE, 100 + 2 * PATIENCE):
        orphan.look(at)
    os.write(write, b"looked")
    signal.pause()  # whoever has told somebody has to be there

pids = []
for _ in range(3):
    pid = os.fork()
    if not pid:
        signal.signal(signal.SIGTERM, lambda *_: (os.write(write, b"myself"), os._exit(0)))
        work()
    pids.append(pid)
for _ in pids:
    got = os.read(read, 6)
    print(got.decode(), end=" ")
for pid in pids:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
print(len(told))
"""
EXEC_WITHOUT = """
if len(sys.argv) < 2:
    code = open("/proc/self/cmdline").read().split(chr(0))[2]
    clean = {each: value for each, value in os.environ.items() if each != "LIFECYCLE_BOARD"}
    os.execve(sys.executable, [sys.executable, "-c", code, board.path], clean)
"""
OPENS = """
if len(sys.argv) > 1:
    worker.open(sys.argv[1])
    board = worker.board
"""


@pytest.mark.parametrize(
    ("has_parent", "said"),
    [(True, "looked looked looked 0"), (False, "looked looked looked 1")],
)
def test_a_master_is_told(command: Parent, has_parent: bool, said: str) -> None:
    """It is told once by all its workers, who do not tell themselves."""
    done = command.run(WORKERS.format(has_parent=has_parent, before=""))

    assert (done.stdout, done.stderr) == (f"{said}\n", "")


def test_a_worker_without_a_master_of_its_command(command: Parent) -> None:
    """It tells itself: what is above it, and has not this board, is somebody else's."""
    code = WORKERS.format(has_parent=False, before=OPENS + EXEC_WITHOUT)

    done = command.run(code)

    assert (done.stdout, done.stderr) == ("myself myself myself 0\n", "")


KILLED = """
import os, signal, sys
from lifecycle_worker import orphan as module
from lifecycle_worker.orphan import LONGEST, Orphan
from lifecycle_worker.worker import worker

signal.signal(signal.SIGTERM, signal.SIG_IGN)  # as a server that waits for a request
module.has_parent = lambda board: {has_parent}
pid = os.fork()
if not pid:
    orphan = Orphan(worker.board)
    orphan.look(100)
    orphan.look(100 + LONGEST - 0.1)
    print("waits", end=" ", flush=True)
    orphan.look(100 + LONGEST)
    os._exit(0)
print(os.waitpid(pid, 0)[1])
"""


@pytest.mark.parametrize(("has_parent", "status"), [(True, 0), (False, 9)])
def test_a_worker_that_does_not_end_is_killed(
    command: Parent, has_parent: bool, status: int
) -> None:
    """As its parent would have done: a server may wait forever for a request."""
    done = command.run(KILLED.format(has_parent=has_parent))

    assert (done.stdout, done.stderr) == (f"waits {status}\n", "")


MASTER = """
import signal
from lifecycle_worker.servers import gunicorn

told = []
signal.signal(signal.SIGTERM, lambda *_: told.append(1))

class module:
    class Arbiter:
        def setup(self, app):
            self.worker_class = app

        def spawn_worker(self):
            return "pid"

gunicorn.patch_arbiter(module)
for gunicorn.has_parent in (lambda board: True, lambda board: False, lambda board: False):
    print(module.Arbiter().spawn_worker(), len(told), end="; ")
"""


def test_a_master_that_its_workers_may_not_tell(command: Parent) -> None:
    """It tells itself, once, when it is to start one of them anew."""
    done = command.run(MASTER)

    assert (done.stdout, done.stderr) == ("pid 0; pid 1; pid 1; ", "")


WATCHES = """
import _thread, os
from lifecycle_worker.worker import worker

def as_a_greenlet(*_):
    print("a greenlet")

_thread.start_new_thread = as_a_greenlet
worker.serves("shop")
before = set(os.listdir("/proc/self/task"))  # another one may end meanwhile
worker.watch_parent()
print(len(set(os.listdir("/proc/self/task")) - before))
"""


def test_a_parent_is_watched_in_a_thread(command: Parent) -> None:
    """Also where gevent has patched threads: a greenlet that waits would stop all others."""
    done = command.run(WATCHES)

    assert (done.stdout, done.stderr) == ("1\n", "")
