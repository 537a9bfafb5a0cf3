"""Child processes: they inherit neither our handlers nor our descriptors' meaning."""

from __future__ import annotations

import os
import signal

import pytest

from tests.process.kit import RECORDED, assert_left, wait_for

HEAD = """
import asyncio, ctypes, multiprocessing, os, signal, subprocess, sys, time, lifecycle

def look():
    print("masked", sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
          "term", int(signal.getsignal(signal.SIGTERM)),
          "int", signal.getsignal(signal.SIGINT) is signal.default_int_handler,
          "wakeup", signal.set_wakeup_fd(-1), flush=True)

def sleep():
    look()
    time.sleep(60)

async def main(life):
    life.export("orders", port=int(os.environ["PORT"]))
    await life.ready()
    child = {child}
    while not os.path.exists("go"): await asyncio.sleep(0.01)
    os.kill(child.pid, signal.SIGTERM)
    code = await {wait}
    print("child", code, life.state, flush=True)
    await life.drained()

if __name__ == "__main__":
    lifecycle.run(main)
"""

LOOK = (
    "import signal,time;"
    "print('masked', sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),"
    "'term', int(signal.getsignal(signal.SIGTERM)),"
    "'int', signal.getsignal(signal.SIGINT) is signal.default_int_handler,"
    "'wakeup', signal.set_wakeup_fd(-1), flush=True); time.sleep(60)"
)

CHILDREN = {
    "subprocess": (
        f'subprocess.Popen([sys.executable, "-c", {LOOK!r}])',
        "asyncio.to_thread(child.wait)",
    ),
    "asyncio": (
        f'await asyncio.create_subprocess_exec(sys.executable, "-c", {LOOK!r})',
        "child.wait()",
    ),
    "fork": (
        "multiprocessing.get_context('fork').Process(target=sleep); child.start()",
        "asyncio.to_thread(lambda: child.join() or child.exitcode)",
    ),
    "spawn": (
        "multiprocessing.get_context('spawn').Process(target=sleep); child.start()",
        "asyncio.to_thread(lambda: child.join() or child.exitcode)",
    ),
}


@pytest.mark.parametrize("kind", CHILDREN)
def test_a_childs_sigterm_is_its_own(start, tmp_path, kind):
    """A child has default handlers and no mask; its SIGTERM ends it, and drains nobody."""
    child, wait = CHILDREN[kind]
    source = HEAD.format(child=child, wait=wait)
    app = start(source, env=RECORDED | {"PYTHONWARNINGS": "ignore"})
    wait_for(lambda: "masked" in app.stdout, 15, "the child")
    seen = app.stdout.strip()

    (tmp_path / "go").touch()
    wait_for(lambda: "\nchild" in app.stdout, 10, "the child's end")

    assert seen == "masked [] term 0 int True wakeup -1"
    assert app.stdout.splitlines()[-1] == "child -15 ready"
    assert app.get("/ready")[0] == 200
    app.signal(signal.SIGTERM)
    assert_left(app, 0)


def test_a_forked_child_ends_by_itself(start):
    """A forked child that runs to its end neither drains nor closes anything of its parent's."""
    app = start(
        """
import asyncio, os, sys, lifecycle

async def main(life):
    life.export("orders", port=int(os.environ["PORT"]))
    await life.ready()
    if os.fork() == 0:
        sys.stdout.flush()
        os._exit(0)
    pid, status = os.wait()
    print("child", status, flush=True)
    await life.drained()

lifecycle.run(main)
""",
        env=RECORDED | {"PYTHONWARNINGS": "ignore"},
    )
    wait_for(lambda: "child 0" in app.stdout, 30, "the child's end")

    assert app.get("/ready")[0] == 200
    assert app.control("GET", "/status")[0] == 200
    app.signal(signal.SIGTERM)
    assert_left(app, 0)


def test_a_process_group(start):
    """SIGTERM to the whole group, as an init or a terminal sends it, drains the parent once."""
    app = start(
        """
import asyncio, os, subprocess, sys, lifecycle

async def main(life):
    os.setpgid(0, 0)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    life.export("orders", port=int(os.environ["PORT"]))
    await life.ready()
    await life.drained()
    print("child", child.wait(), flush=True)

lifecycle.run(main)
""",
        env=RECORDED,
    )
    app.wait_state("ready")

    os.killpg(app.pid, signal.SIGTERM)
    assert_left(app, 0)

    assert "child -15" in app.stdout
