"""The command `lifecycle`: what it prints, what it returns, what it costs."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lifecycle.registration_table import HEADER
from lifecycle.testing.environment import handed_on
from tests.process.explained import message_of
from tests.process.kit import App, cli, free_port, wait_for

Start = Callable[..., App]

MAIN = """
import os

async def main(life):
    life.export("orders", port=int(os.environ["PORT"]))
    life.export("billing")
    await life.ready()
    await life.drained()
"""
RUN = ["-m", "lifecycle", "run", "shop:main"]
QUICK = {"LIFECYCLE_SETTLE": "0.1", "LIFECYCLE_QUIET": "0.1"}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """Run two services, which all these tests leave online."""
    folder = tmp_path_factory.mktemp("cli")
    (folder / "shop.py").write_text(MAIN)
    with App.start(RUN, cwd=folder, env=QUICK) as app:
        app.wait_state("ready")
        yield app


@pytest.fixture
def alone(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command where nothing runs."""

    def run(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
        clean = handed_on()
        clean |= {"LIFECYCLE_RUN_DIR": str(tmp_path), "LIFECYCLE_QOS_PORT": str(free_port())}
        return cli(*words, env=clean | env, cwd=tmp_path)

    return run


def test_probe(app: App) -> None:
    """`probe` returns 0 for true; 1 for false, with the reasons; either way in a word."""
    for kind in ("live", "ready", "startup"):
        done = app.cli("probe", kind)
        assert (done.returncode, done.stdout, done.stderr) == (0, "true\n", "")
    assert app.cli("offline").returncode == 0
    done = app.cli("probe", "ready", "--port", str(app.qos))
    assert done.returncode == 1
    assert re.search(r"^\[-\] services failed .*orders offline", done.stdout, re.MULTILINE)
    assert app.cli("online").returncode == 0
    wait_for(lambda: app.cli("probe", "ready").returncode == 0, 10, "ready again")


def test_ls_offline_online(app: App) -> None:
    """`offline` and `online` take a glob, say what they did, and fail on what matches nothing."""
    done = app.cli("offline", "ord*")
    assert (done.returncode, done.stdout, done.stderr) == (0, "OK: orders\n", "")
    held = app.cli("ls")
    assert held.returncode == 0
    assert re.search(r"^orders +\d+ +offline \(operator.*\)", held.stdout, re.MULTILINE)
    assert re.search(r"^billing +- +online +local +yes +yes +\d", held.stdout, re.MULTILINE)
    assert held.stdout.split("\n")[0].split() == list(HEADER)
    assert app.cli("online", "orders").stdout == "OK: orders\n"

    for word in ("nosuch*", "", "a b", "x&service=orders", "%2a"):
        done = app.cli("offline", word)
        assert (done.returncode, done.stdout) == (1, "")
        assert "orders" in done.stderr  # it says what there is


def test_status(app: App) -> None:
    """`status` is a table for people, `--json` the snapshot itself."""
    app.get("/ready")
    text = app.cli("status").stdout
    assert re.match(r"READY for .*, 0 in flight, pid \d+, pod-lifecycle ", text)
    for header in ("SERVICE +PORT", "PROBE +KIND", "FROM +TO", "PLUGIN +PROBLEM"):
        assert re.search(f"^{header}", text, re.MULTILINE)
    said = json.loads(app.cli("status", "--json").stdout)
    assert (said["state"], said["pid"]) == ("ready", app.pid)


def test_watch(app: App, start: Start) -> None:
    """`status --watch` redraws on a terminal, and Ctrl-C ends it quietly."""
    watch = app.beside(start, "status", "--watch", tty=True)

    wait_for(lambda: watch.stdout.count("\x1b[H\x1b[2J") >= 2, 10, lambda: watch.stdout)
    assert "READY for" in watch.stdout
    os.write(watch.terminal, b"\x03")
    assert watch.wait() == 0
    assert "Traceback" not in watch.stdout


def test_watch_until_it_is_gone(start: Start, tmp_path: Path) -> None:
    """`status --watch` follows a drain to its end, says so, and returns 0."""
    (tmp_path / "shop.py").write_text(MAIN)
    app = start(RUN, env=QUICK | {"LIFECYCLE_SETTLE": "1.5"})
    app.wait_state("ready")
    watch = app.beside(start, "status", "--watch")
    wait_for(lambda: "READY for" in watch.stdout, 10, lambda: watch.stderr)

    app.signal(signal.SIGTERM)
    assert watch.wait() == 0
    assert "drain started by SIGTERM" in watch.stdout
    assert watch.stdout.endswith("the app has exited\n")
    assert (watch.stderr, app.wait()) == ("", 0)


def test_prestop(start: Start, tmp_path: Path) -> None:
    """`prestop` says nothing, returns 0 when the drain is over, and the app waits for SIGTERM."""
    (tmp_path / "shop.py").write_text(MAIN)
    app = start(RUN, env=QUICK)
    app.wait_state("ready")

    done = app.cli("prestop")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert app.cli("probe", "ready").returncode == 1
    assert app.cli("online").returncode == 1
    assert app.cli("offline").returncode == 0
    assert app.cli("prestop").returncode == 0
    assert "DRAINING" in app.cli("status").stdout
    app.stop()


def test_prestop_of_who_dies(start: Start, tmp_path: Path) -> None:
    """`prestop` fails with a sentence when the app dies under it."""
    (tmp_path / "shop.py").write_text(MAIN)
    app = start(RUN, env=QUICK | {"LIFECYCLE_SETTLE": "10"})
    app.wait_state("ready")
    prestop = app.beside(start, "prestop")
    app.wait_state("draining")

    app.signal(signal.SIGKILL)
    assert prestop.wait() == 1
    assert message_of(prestop.stderr).startswith("lifecycle: the app ")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["prestop"], 1),
        (["probe", "live"], 2),
        (["ls"], 2),
        (["status"], 2),
        (["status", "--json"], 2),
        (["status", "--watch"], 2),
        (["inflight"], 2),
        (["inflight", "--watch", "--json"], 2),
        (["online"], 2),
        (["offline", "orders"], 2),
    ],
)
@pytest.mark.parametrize("port", ["", "0"])
def test_nobody_there(
    alone: Callable[..., subprocess.CompletedProcess[str]], words: list[str], code: int, port: str
) -> None:
    """Where nothing runs, every command fails with one sentence that says what to look at."""
    done = alone(*words, **({"LIFECYCLE_QOS_PORT": port} if port else {}))

    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith("lifecycle: ")
    assert message_of(done.stderr)
    said = ("--port", "starting") if port else ("LIFECYCLE_QOS_PORT", "LIFECYCLE_RUN_DIR")
    assert all(word in done.stderr for word in said)


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["nosuch"],
        ["probe"],
        ["probe", "health"],
        ["prestop", "--port", "x"],
        ["probe", "live", "--port", "²"],
        ["probe", "live", "--port", "\uff18\uff10"],
        ["ls", "--port", "\uff18\uff10"],
        ["prestop", "--port", "9" * 5000],
        ["run"],
        ["run", "--keep-alive", "soon", "a:b"],
        ["run", "--log-level", "loud", "a:b"],
        ["status", "--jsn"],
    ],
)
def test_usage(alone: Callable[..., subprocess.CompletedProcess[str]], words: list[str]) -> None:
    """What is no command line gets the usage, and 2."""
    done = alone(*words)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: lifecycle")
    assert "Traceback" not in done.stderr
    assert "_seconds" not in done.stderr


@pytest.mark.parametrize(
    ("words", "mentions"),
    [
        (["--help"], ["run", "prestop", "probe", "ls", "status", "inflight", "online", "offline"]),
        (["run", "--help"], ["--asgi", "--bind", "--service", "-p", "--app-dir", "MODULE:NAME"]),
        (["probe", "--help"], ["live", "ready", "startup", "--port"]),
        (["prestop", "--help"], ["--port"]),
        (["status", "--help"], ["--json", "--watch"]),
        (["inflight", "--help"], ["--json", "--watch", "--limit", "--stacks"]),
        (["offline", "--help"], ["PATTERN"]),
        (["config", "--help"], ["--json"]),
        (["--version"], ["pod-lifecycle"]),
    ],
)
def test_help(
    alone: Callable[..., subprocess.CompletedProcess[str]], words: list[str], mentions: list[str]
) -> None:
    """`--help` lists what there is."""
    done = alone(*words)

    assert (done.returncode, done.stderr) == (0, "")
    assert all(word in done.stdout for word in mentions)


def test_config(alone: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    """`config` shows every setting and where it is from, and no secret."""
    token = "correct-horse-battery"
    done = alone("config", LIFECYCLE_SETTLE="2", LIFECYCLE_PRESTOP_TOKEN=token)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"^settle +2(\.0)? +LIFECYCLE_SETTLE$", done.stdout, re.MULTILINE)
    assert re.search(r"^grace_period +30(\.0)? +default$", done.stdout, re.MULTILINE)
    assert token not in done.stdout

    said = json.loads(alone("config", "--json", LIFECYCLE_PRESTOP_TOKEN=token).stdout)
    assert said["prestop_token"]["value"] == "<redacted>"
    assert said["settle"]["variable"] == "LIFECYCLE_SETTLE"


def test_plugins(alone: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path) -> None:
    """`plugins` lists the hooks of each plugin, and fails if one does not load."""
    (tmp_path / "mine.py").write_text(
        "import lifecycle\n\n@lifecycle.hookimpl\ndef lifecycle_readiness():\n    return True\n"
    )
    found = tmp_path / "broken-1.dist-info"
    found.mkdir()
    (found / "METADATA").write_text("Name: broken\nVersion: 1\n")
    (found / "entry_points.txt").write_text("[lifecycle]\nbroken = nosuch_module\n")

    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = alone("plugins", LIFECYCLE_PLUGINS="mine", PYTHONPATH=path)
    assert done.returncode == 1
    assert re.search(r"^mine +readiness +-$", done.stdout, re.MULTILINE)
    assert re.search(
        r"^broken +- +nosuch_module: ModuleNotFoundError: .*", done.stdout, re.MULTILINE
    )
    without = {"LIFECYCLE_PLUGINS": "mine,no:broken", "PYTHONPATH": path}
    assert alone("plugins", **without).returncode == 0


@pytest.mark.parametrize("words", [["prestop"], ["probe", "live"]])
def test_next_to_nothing_is_imported(
    app: App, start: Start, tmp_path: Path, words: list[str]
) -> None:
    """`prestop` and `probe` import nothing of weight, also when they succeed."""
    if words == ["prestop"]:
        (tmp_path / "shop.py").write_text(MAIN)
        app = start(RUN, env=QUICK)
        app.wait_state("ready")

    def imported(*arguments: str) -> set[str]:
        done = subprocess.run(
            [sys.executable, "-X", "importtime", *arguments],
            env=app.env,
            cwd=app.cwd,
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        )
        return {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if "|" in line}

    call = f"import sys; sys.argv[1:] = {words!r}; from lifecycle.cli import main; main()"
    extra = imported("-c", call) - imported("-c", "")
    print(sorted(extra))
    own = {name for name in extra if name.partition(".")[0] == "lifecycle"}
    said = {"lifecycle.cli.console"} if words[0] == "probe" else set()
    assert own == said | {
        "lifecycle",
        "lifecycle.cli",
        "lifecycle.cli.commands",
        f"lifecycle.cli.{words[0]}",
        "lifecycle.cli.control_client",
        "lifecycle.qos",
        "lifecycle.qos.control_socket",
    }
    assert extra - own <= {"__future__", "_socket"}
