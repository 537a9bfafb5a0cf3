"""`lifecycle run -- COMMAND`: what a command is given, and who stands around it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from lifecycle.process.command.processes import look_at
from tests.process.commands import descendants, run, telltale, told
from tests.process.kit import wait_for

WITH_IGNORED = """
import os, signal, sys
for name in ("SIGINT", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGCHLD", "SIGPIPE"):
    signal.signal(getattr(signal, name), signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGUSR1])
os.execv(sys.executable, sys.argv[1:])
"""


def test_what_a_command_is_given(start, tmp_path):
    """Three descriptors, signals as they are by default, a process group, uWSGI's setting."""
    app = telltale(start, tmp_path)

    up = told(tmp_path, "up")[0]

    assert up["fds"] == [0, 1, 2]
    assert up["ignored"] == ["SIGPIPE", "SIGXFSZ"]  # as Python does it by itself
    assert up["masked"] == []
    assert up["group"] == up["pid"]
    assert up["uwsgi"] == "1"
    app.stop(0)


def test_inherited_signals(start, tmp_path):
    """Signals that are ignored or masked when we begin are not so for the command."""
    telltale(start, tmp_path, before=[sys.executable, "-c", WITH_IGNORED])

    up = told(tmp_path, "up")[0]

    assert up["ignored"] == ["SIGPIPE", "SIGXFSZ"]
    assert up["masked"] == []


HANDS_ON = """
import os, socket, sys
listener = socket.create_server(("127.0.0.1", 0))
os.dup2(listener.fileno(), 3)
os.set_inheritable(3, True)
os.environ |= {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())}
os.execv(sys.argv[1], sys.argv[1:])
"""
TAKES = "import os, socket, sys; print(os.environ['LISTEN_PID'] == str(os.getpid()), socket.socket(fileno=3).getsockname()[0])"


def test_sockets_that_systemd_hands_on(start, tmp_path):
    """A descriptor that we have inherited is the command's, as if it had been started alone."""
    before = [sys.executable, "-c", HANDS_ON]
    app = run(start, tmp_path, sys.executable, "-c", TAKES, before=before)

    assert app.wait() == 1
    assert app.stdout == "True 127.0.0.1\n"


def test_stdin_stdout_and_stderr(tmp_path):
    """The command's are ours: it reads what is piped in, and says what it says."""
    words = [
        "lifecycle",
        "run",
        "--",
        "sh",
        "-c",
        "read line; echo got $line; echo bad >&2; exit 5",
    ]
    done = subprocess.run(
        [sys.executable, "-m", *words],
        input="hello\n",
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"LIFECYCLE_QOS_PORT": "0", "LIFECYCLE_RUN_DIR": str(tmp_path)},
        timeout=30,
        check=False,
    )

    assert done.returncode == 5
    assert done.stdout == "got hello\n"
    assert "bad\n" in done.stderr


def test_a_signal_to_the_group_is_for_the_parent(start, tmp_path):
    """What an init or `timeout` sends to our process group does not reach the command."""
    source = "import os, sys; os.setpgid(0, 0); os.execv(sys.argv[1], sys.argv[1:])"
    before = [sys.executable, "-c", source]
    app = telltale(start, tmp_path, before=before, LIFECYCLE_SETTLE="0.7")

    at = time.monotonic()
    os.killpg(app.pid, signal.SIGTERM)

    assert app.wait() == 0, app.stderr
    signals = told(tmp_path, "signal")
    assert [each["name"] for each in signals] == ["SIGTERM"]
    assert signals[0]["at"] - at >= 0.7


@pytest.mark.parametrize(
    ("key", "name", "code"),
    [(b"\x03", "SIGINT", 0), (b"\x03", "SIGINT", 130), (b"\x1c", "SIGQUIT", 131)],
)
def test_ctrl_c(start, tmp_path, key, name, code):
    """At a terminal Ctrl-C reaches the command too: it is told nothing more, and that is all."""
    app = telltale(start, tmp_path, tty=True, ENDS_BY=name, CODE=str(code))
    assert told(tmp_path, "up")[0]["group"] == os.getpgid(app.pid)

    os.write(app.terminal, key)

    assert app.wait() == 0, app.stderr
    assert [each["name"] for each in told(tmp_path, "signal")] == [name]


def test_ctrl_c_that_is_ignored(start, tmp_path):
    """What goes on in spite of Ctrl-C is told by the stop signal."""
    app = telltale(start, tmp_path, tty=True)

    os.write(app.terminal, b"\x03")

    assert app.wait() == 0, app.stderr
    assert [each["name"] for each in told(tmp_path, "signal")] == ["SIGINT", "SIGTERM"]


@pytest.mark.parametrize("pod", [{}, {"KUBERNETES_SERVICE_HOST": "127.0.0.1"}])
def test_reading_at_a_terminal(start, tmp_path, pod):
    """A command that reads from the terminal (a debugger) gets what is typed, in a pod too."""
    script = "import os; print('line', input('> '), flush=True); __import__('time').sleep(60)"
    app = run(start, tmp_path, sys.executable, "-c", script, tty=True, **pod)
    wait_for(lambda: ">" in app.stdout or ">" in app.stderr, 15, "the prompt")

    os.write(app.terminal, b"hello\n")

    wait_for(lambda: "line hello" in app.stdout, 10, "what was typed")


@pytest.mark.parametrize("init", [["dumb-init"], ["tini", "-s", "--"], ["tini", "-s", "-g", "--"]])
def test_an_init_in_front(start, tmp_path, init):
    """An init that passes SIGTERM on, to the group too, begins the drain and nothing else."""
    app = telltale(start, tmp_path, before=init, LIFECYCLE_SETTLE="0.7")
    at = app.signal(signal.SIGTERM)

    assert app.wait() == 0, app.stderr
    signals = told(tmp_path, "signal")
    assert [each["name"] for each in signals] == ["SIGTERM"]
    assert signals[0]["at"] - at >= 0.7


def test_nohup(start, tmp_path):
    """Under `nohup` a hangup is nobody's: it is ignored, and not passed on."""
    app = telltale(start, tmp_path, before=["nohup"])

    app.signal(signal.SIGHUP)
    app.signal(signal.SIGUSR1)

    wait_for(lambda: told(tmp_path, "signal"), 5, "the second signal")
    assert [each["name"] for each in told(tmp_path, "signal")] == ["SIGUSR1"]
    app.stop(0)


def test_in_the_background_of_a_script(start, tmp_path):
    """`lifecycle run … &` in a script: SIGTERM drains, and the command has SIGINT as usual."""
    app = telltale(start, tmp_path, before=["sh", "-c", '"$@" & wait $!', "-"])
    [parent] = [each.pid for each in descendants(app.pid) if each.parent == app.pid]

    os.kill(parent, signal.SIGTERM)

    assert app.wait() == 0, app.stderr
    assert told(tmp_path, "up")[0]["ignored"] == ["SIGPIPE", "SIGXFSZ"]
    assert not look_at(parent)


HELD = """
import asyncio
import lifecycle

@lifecycle.hookimpl
async def lifecycle_start():
    print("held", flush=True)
    await asyncio.sleep(600)
"""


def test_probes_are_answered_while_a_plugin_holds_the_command_up(start, tmp_path):
    """Answers are put off until the command has started, and not for what keeps it from it."""
    (tmp_path / "held.py").write_text(HELD)
    app = run(start, tmp_path, "sleep", "60", options=("-p", "held"))
    wait_for(lambda: "held" in app.stdout, 15, lambda: app.stderr)

    assert app.get("/live")[:2] == (200, "true")
    assert app.get("/ready")[0] == 503
    assert not descendants(app.pid)
    app.stop(143)
