"""`lifecycle run -- gunicorn`: what a master does that others do not."""

from __future__ import annotations

import os
import signal
import sys

from lifecycle.process.command.processes import command_line, look_at
from tests.process.commands import descendants, run
from tests.process.kit import ask, wait_for

WSGI = """
import os
def app(environ, start_response):
    start_response("200 OK", [])
    return [str(os.getppid()).encode()]
"""
GUNICORN = (sys.executable, "-m", "gunicorn", "--no-control-socket", "-b", "127.0.0.1:{port}")


def serve(start, folder, *words, **env):
    (folder / "shop.py").write_text(WSGI)
    (folder / "broken.py").write_text("raise RuntimeError('no database')")
    return run(start, folder, *GUNICORN, *words, **env)


def test_a_new_master(start, tmp_path):
    """SIGUSR2 and SIGQUIT change the binary: the old master's end is not the end."""
    app = serve(start, tmp_path, "shop:app")
    app.wait_state("ready")
    old = int(ask(app.port)[1])

    app.signal(signal.SIGUSR2)
    new = wait_for(
        lambda: {int(ask(app.port)[1]) for _ in range(20)} - {old}, 15, "the new one"
    ).pop()
    os.kill(old, signal.SIGQUIT)
    wait_for(lambda: not look_at(old), 15, "the old one's end")

    wait_for(lambda: app.events("command succeeded"), 5, "that it is noticed")
    assert int(ask(app.port)[1]) == new
    assert app.get("/ready")[0] == 200
    app.signal(signal.SIGHUP)  # which is now for the new one
    wait_for(lambda: "Handling signal: hup" in app.stderr, 10, "its reload")
    app.stop(0)
    assert not look_at(new)


def test_daemon(start, tmp_path):
    """`--daemon` is refused by name, and nothing of it is left."""
    app = serve(start, tmp_path, "--daemon", "--pid", "pid", "shop:app")

    assert app.wait() == 1
    assert "gunicorn ended at once, and went on in the background" in app.stderr
    assert "Leave out --daemon: the command must stay in the foreground." in app.stderr
    assert not _answers(app.port)


def _answers(port: int) -> bool:
    try:
        return bool(ask(port))
    except OSError:
        return False


def test_workers_that_do_not_start(start, tmp_path):
    """Its own exit code for an app that cannot be loaded is passed on."""
    app = serve(start, tmp_path, "broken:app")

    assert app.wait() == 3
    assert "no database" in app.stderr
    assert "gunicorn ended with exit code 3: nobody had told it to end." in app.stderr


def test_the_killed_parent_leaves_nothing(start, tmp_path):
    """`kill -9` of the parent: the master is told to end, and its workers with it."""
    app = serve(start, tmp_path, "-w", "2", "shop:app")
    app.wait_state("ready")
    wait_for(lambda: len(descendants(app.pid)) == 3, 10, "both workers")
    family = [each.pid for each in descendants(app.pid)]

    app.process.kill()
    app.wait()

    wait_for(lambda: not [pid for pid in family if command_line(pid)], 10, "their end")
