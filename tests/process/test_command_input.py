"""`lifecycle run -- COMMAND`: what does not add up is refused in a sentence."""

from __future__ import annotations

import pytest

from lifecycle.testing.environment import handed_on
from tests.process.explained import message_of
from tests.process.kit import cli, free_port

CASES = {
    "no command": (["--"], 2, "there is no command after --: lifecycle run"),
    "an empty word": (["--", ""], 2, "there is no command after --"),
    "no --": (["shop:main", "gunicorn"], 2, "'gunicorn': put -- before a command"),
    "both": (["shop:main", "--", "true"], 2, "shop:main and a command: give only one of the two"),
    "--asgi": (["--asgi", "--", "true"], 2, "--asgi is only for MODULE:NAME, not for a command"),
    "--bind": (["--bind", ":80", "--", "true"], 2, "--bind is only for MODULE:NAME"),
    "--keep-alive": (
        ["--keep-alive", "9", "--", "true"],
        2,
        "--keep-alive is only for MODULE:NAME",
    ),
    "--loop": (["--loop", "asyncio", "--", "true"], 2, "--loop is only for MODULE:NAME"),
    "no such signal": (
        ["--stop-signal", "TREM", "--", "true"],
        2,
        "--stop-signal TREM: must be a signal",
    ),
    "SIGKILL": (["--stop-signal", "KILL", "--", "true"], 2, "--stop-signal KILL: must be a signal"),
    "signal 99": (["--stop-signal", "99", "--", "true"], 2, "--stop-signal 99: must be a signal"),
    "a signal, but no command": (
        ["--stop-signal", "INT", "a:b"],
        2,
        "--stop-signal is only for a comm",
    ),
    "no port": (["--service", "shop", "--", "true"], 2, "--service shop:8080"),
    "no such command": (
        ["--", "no-such-command"],
        127,
        "An alias or a function of your shell cannot be used",
    ),
    "no such file": (["--", "./no/such"], 127, "there is no command './no/such'"),
    "an app": (
        ["--", "shop:main"],
        127,
        "to run an app, leave out the --: lifecycle run shop:main",
    ),
    "one word": (
        ["--", "uvicorn shop.main:app --port 8000"],
        127,
        "is one word with spaces. Make each word its own argument, without quotes around all of "
        "them: lifecycle run [OPTIONS] -- uvicorn shop.main:app --port 8000. In a manifest, make "
        "each word its own list item",
    ),
    "one word for a shell": (
        ["--", "uvicorn shop.main:app --port $PORT"],
        127,
        "-- sh -c 'exec uvicorn shop.main:app --port $PORT'. In a manifest",
    ),
    "a path with a space": (["--", "./no such/file"], 127, "there is no command './no such/file'"),
    "a folder": (["--", "/usr"], 126, "cannot run /usr: the path is a folder"),
    "not executable": (["--", "./data"], 126, "./data: the file is not executable. Run chmod +x"),
}


@pytest.mark.parametrize("case", CASES)
def test_refused(tmp_path, case):
    """One sentence and the exit code, before anything is started."""
    words, code, says = CASES[case]
    (tmp_path / "data").write_text("nothing")
    env = handed_on() | {"LIFECYCLE_RUN_DIR": str(tmp_path), "LIFECYCLE_QOS_PORT": str(free_port())}

    done = cli("run", *words, env=env, cwd=tmp_path)

    assert done.returncode == code, done.stderr
    assert done.stderr.startswith("lifecycle: ")
    assert says in message_of(done.stderr)


def test_without_the_dashes(tmp_path):
    """A command whose options we do not know gets the hint to put -- before it."""
    env = handed_on() | {"LIFECYCLE_RUN_DIR": str(tmp_path), "LIFECYCLE_QOS_PORT": str(free_port())}

    done = cli("run", "gunicorn", "-w", "4", "shop.wsgi", env=env, cwd=tmp_path)

    assert done.returncode == 2
    assert "Put -- before a command: lifecycle run [--service NAME:PORT] -- gunicorn" in done.stderr
