"""`lifecycle run -- COMMAND`: how a command may end, and that nothing of it is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lifecycle.process.command.processes import look_at
from tests.process.commands import descendants, telltale, told
from tests.process.kit import QUICK, wait_for

JOB = ("-m", "lifecycle", "run", "--instrument=no", "--")
SERVER = ("-m", "lifecycle", "run", "--instrument=no", "--service", "shop:1", "--")
DIES = "import os, signal; os.kill(os.getpid(), signal.{})"
BACKGROUND = "sleep 61 & echo $! > pid; exit 0"


def start_job(start, folder, *command, **env):
    """Start a command without a service."""
    return start([*JOB, *command], cwd=folder, env=QUICK | env)


def start_server(start, folder, *command):
    """Start a command that is to serve something."""
    return start([*SERVER, *command], cwd=folder, env=QUICK)


@pytest.mark.parametrize(
    ("command", "code", "says"),
    [
        (["true"], 1, "true ended by itself, with exit code 0."),
        (["sh", "-c", BACKGROUND], 1, "sh ended at once, and left processes in the background ("),
    ],
)
def test_an_end_of_what_is_to_serve(start, tmp_path, command, code, says):
    """It is never a success, whatever it says; what it leaves behind is ended."""
    assert_ended(start_server(start, tmp_path, *command), code, says)


@pytest.mark.parametrize(
    ("command", "code", "says"),
    [
        (["true"], 0, ""),
        (["sh", "-c", "exit 7"], 7, "sh ended by itself, with exit code 7."),
        ([sys.executable, "-c", DIES.format("SIGSEGV")], 139, "SIGSEGV killed "),
        ([sys.executable, "-c", DIES.format("SIGKILL")], 137, "The container may be out of"),
        ([sys.executable, "-c", DIES.format("SIGTERM")], 143, "SIGTERM killed "),
        (["sh", "-c", BACKGROUND], 0, "its processes in the background are ended too ("),
        (["./no-interpreter"], 127, "the interpreter in its first line does not exist"),
        (
            ["./no-program"],
            126,
            "cannot start ./no-program: Exec format error: its first line must name",
        ),
    ],
)
def test_unasked(start, tmp_path, command, code, says):
    """Its exit code is passed on, with a sentence; what it leaves behind is ended."""
    for name, text in (("no-interpreter", "#!/no/such\n"), ("no-program", "\x00\x01")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    assert_ended(start_job(start, tmp_path, *command), code, says)


def assert_ended(app, code, says):
    assert app.wait() == code, app.stderr
    assert says in app.stderr
    assert says or "problem" not in app.stderr
    assert "Traceback" not in app.stderr, app.stderr
    assert app.events("drain report")[0]["code"] == code
    if (left := app.cwd / "pid").exists():
        assert not look_at(int(left.read_text()))


TRAPPED = "trap '{}' TERM; echo up; while :; do sleep 0.05; done"


@pytest.mark.parametrize(
    ("command", "code", "says"),
    [
        (["sleep", "62"], 143, ""),
        (["sh", "-c", "sleep 63"], 143, ""),
        (["sh", "-c", TRAPPED.format("exit 0")], 0, ""),
        (["sh", "-c", TRAPPED.format("exit 143")], 143, ""),
        (["sh", "-c", TRAPPED.format("exit 3")], 3, "sh got SIGTERM, and ended with exit"),
        (["sh", "-c", TRAPPED.format("kill -9 $$")], 137, "sh got SIGTERM, and SIGKILL killed it"),
    ],
)
def test_told_to_end(start, tmp_path, command, code, says):
    """What ends with 0 has ended well; what dies of the signal was interrupted, having no service."""
    app = start_job(start, tmp_path, *command)
    app.wait_state("ready")
    wait_for(lambda: "echo up" not in command[-1] or "up" in app.stdout, 5, "the trap")
    family = [each.pid for each in descendants(app.pid)]

    app.signal(signal.SIGTERM)

    assert app.wait() == code, app.stderr
    assert says in app.stderr
    assert ("problem" in app.stderr) == bool(says)
    assert family
    assert not [pid for pid in family if look_at(pid)]


def test_ignored_stop_signal(start, tmp_path):
    """What ignores it is killed when its time is over, with its children: 124, and named."""
    app = start_job(
        start,
        tmp_path,
        "sh",
        "-c",
        "trap '' TERM; sleep 64 & echo up; wait; sleep 65",
        LIFECYCLE_GRACE_PERIOD="4",
        LIFECYCLE_STOP_TIMEOUT="0.5",
    )
    wait_for(lambda: "up" in app.stdout, 15, "the command")
    family = [each.pid for each in descendants(app.pid)]

    at = app.signal(signal.SIGTERM)

    assert app.wait() == 124, app.stderr
    assert time.monotonic() - at < 4
    cut_off = app.events("drain report")[0]["cut_off"]
    assert "sh (pid" in cut_off[0]
    assert "sent SIGTERM), which had not ended in time" in cut_off[0]
    assert len(family) >= 2
    assert not [pid for pid in family if look_at(pid)]


def test_a_second_signal_forces(start, tmp_path):
    """It kills what has not ended: exit code 1, and nothing is left."""
    app = start_job(
        start, tmp_path, "sh", "-c", "trap '' TERM; echo up; sleep 66", LIFECYCLE_GRACE_PERIOD="30"
    )
    wait_for(lambda: "up" in app.stdout, 15, "the command")
    family = [each.pid for each in descendants(app.pid)]

    at = app.signal(signal.SIGTERM)
    app.signal_again(signal.SIGTERM)

    assert app.wait() == 1, app.stderr
    assert time.monotonic() - at < 10
    assert not [pid for pid in family if look_at(pid)]


def test_an_end_is_known_at_once(start, tmp_path):
    """What ends unasked is out of traffic, and its code is that of the process, in no time."""
    app = telltale(start, tmp_path, LIFECYCLE_SETTLE="5", LIFECYCLE_GRACE_PERIOD="20")
    pid = int(told(tmp_path, "up")[0]["pid"])

    at = time.monotonic()
    os.kill(pid, signal.SIGKILL)

    assert app.wait() == 137
    assert time.monotonic() - at < 4
    assert "SIGKILL killed " in app.stderr
    assert app.events("drain report")[0]["cause"].endswith("ended")


def test_the_killed_parent_takes_the_command_along(start, tmp_path):
    """`kill -9` of the parent: the kernel tells the command to end."""
    app = telltale(start, tmp_path)
    pid = int(told(tmp_path, "up")[0]["pid"])

    app.process.kill()
    app.wait()

    wait_for(lambda: not look_at(pid), 10, "the command's end")
    assert [each["name"] for each in told(tmp_path, "signal")] == ["SIGTERM"]


DOUBLE_FORK = """
import os, sys, time
for _ in range(20):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(0.1)
            os._exit(0)
        os._exit(0)
print("forked", flush=True)
time.sleep(60)
"""

PLUGIN = """
import asyncio, subprocess, sys, lifecycle

class Plugin:
    @lifecycle.hookimpl
    async def lifecycle_start(self, life):
        self.task = asyncio.create_task(self.go_on())

    async def go_on(self):
        codes = []
        for session in (False, True):
            words = [sys.executable, "-c", "raise SystemExit(5)"]
            child = subprocess.Popen(words, start_new_session=session)
            await asyncio.sleep(1)  # somebody who waits for any child would have it by now
            codes.append(child.wait())
            child = await asyncio.create_subprocess_exec(*words, start_new_session=session)
            codes.append(await child.wait())
        print("plugin", codes, flush=True)

lifecycle_start = Plugin().lifecycle_start
"""


def test_orphans_are_reaped_and_a_plugins_children_are_not(start, tmp_path):
    """No zombie is left of a double fork; who waits for a child of his own gets its exit code."""
    (tmp_path / "starter.py").write_text(PLUGIN)
    app = start(
        ["-m", "lifecycle", "run", "-p", "starter", "--", sys.executable, "-c", DOUBLE_FORK],
        cwd=tmp_path,
        env=QUICK,
    )
    wait_for(lambda: "forked" in app.stdout, 15, "the forks")
    wait_for(lambda: "plugin" in app.stdout, 15, "the plugin")

    wait_for(lambda: len(descendants(app.pid)) == 1 + 20, 5, "one child, and its own zombies")
    assert "plugin [5, 5, 5, 5]" in app.stdout
    app.stop(143)


def test_what_a_dead_master_leaves_is_ended(start, tmp_path):
    """Orphans that ignore SIGTERM are killed; the exit code is the master's."""
    script = "(trap '' TERM; sleep 67) & setsid sleep 68 & echo $$ > pid; sleep 69"
    app = start_job(start, tmp_path, "sh", "-c", script)
    app.wait_state("ready")
    wait_for(lambda: (tmp_path / "pid").exists() and len(descendants(app.pid)) >= 4, 5, "all")
    family = [each.pid for each in descendants(app.pid)]

    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)

    assert app.wait() == 137, app.stderr
    assert not [pid for pid in family if look_at(pid)]


def test_the_commands_pid_is_nobody_elses(start, tmp_path):
    """As long as what it has left behind is ended: that is found, and killed, by its group too."""
    script = "echo $$ > pid; (trap '' TERM; echo up; sleep 70) & wait"
    app = start_job(start, tmp_path, "sh", "-c", script, LIFECYCLE_STOP_TIMEOUT="2")
    app.wait_state("ready")
    wait_for(lambda: "up" in app.stdout, 5, "the trap")
    pid = int((tmp_path / "pid").read_text())

    os.kill(pid, signal.SIGKILL)
    app.wait_state("draining")
    held = look_at(pid)

    assert app.wait() == 137, app.stderr
    assert held
    assert held.ended
    assert not look_at(pid)


FIRST_THREAD_ENDS = """
import ctypes, platform, threading, time
threading.Thread(target=time.sleep, args=(60,)).start()
number = {"x86_64": 60, "aarch64": 93}[platform.machine()]
ctypes.CDLL(None).syscall(number, 0)  # exit() of this thread alone
"""


def test_the_first_thread_is_not_the_process():
    """Where its first thread has ended before others it looks like a zombie, but it is there."""
    with subprocess.Popen([sys.executable, "-c", FIRST_THREAD_ENDS]) as process:
        stat = Path(f"/proc/{process.pid}/stat")
        try:
            wait_for(lambda: ") Z " in stat.read_text(), 15, "the first thread's end")
            assert not look_at(process.pid).ended
        finally:
            process.kill()
        wait_for(lambda: look_at(process.pid).ended, 15, "its end")
