"""`maintain`: a pod leaves traffic and comes back, whatever happens meanwhile."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from plugins.fleet.tests.api_exec import Call
from plugins.fleet.tests.api_server import LATEST, ApiServer
from plugins.fleet.tests.app import App
from plugins.fleet.tests.objects import deployment, piece, pod, told
from plugins.fleet.tests.running import fleet

pytestmark = pytest.mark.usefixtures("kubeconfig")

COMMAND = [sys.executable, "-c", "from lifecycle_fleet.kubectl import main; main()", "maintain"]
WHOLE = [["status", "--json"], ["offline", "*", "--wait", "--timeout", "60"], ["online", "*"]]


@pytest.fixture
def app(api: ApiServer) -> App:
    """An app in each of two pods of one Service."""
    found = App("orders", "admin")
    api.execute = found
    for name in ("a", "b"):
        api.put("pods", pod(name, annotation=told(online=["orders", "admin"])))
    api.put("endpointslices", piece({"a": True, "b": True}))
    return found


def words(app: App) -> list[list[str]]:
    return [each for _, each in app.calls]


def start(*more: str, **given: object) -> subprocess.Popen[str]:
    """Start the command as a process."""
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([*COMMAND, *more], text=True, **(streams | given))  # type: ignore[call-overload,no-any-return]


def test_a_command_runs_while_the_pod_is_offline(
    app: App, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """It knows the pod, its stdout is its own, and its exit code is that of everything."""
    app.held["a"] = set()
    script = 'echo "$POD_NAME $POD_NAMESPACE"; exit 7'

    assert fleet("maintain", "a", "--", "sh", "-c", script) == 7
    assert words(app) == WHOLE
    assert app.held == {"a": set()}
    shown = capfd.readouterr()
    assert shown.out == "a shop\n"
    assert shown.err.splitlines() == [
        "pod/a: goes offline, and waits until no client is being served, at most 60 s",
        "pod/a: OK: admin, orders",
        f"pod/a: is offline. Runs sh -c '{script}'",
        "pod/a: online again (OK: admin, orders)",
    ]


def test_a_time(app: App) -> None:
    """--for ends by itself, and --timeout is handed on."""
    assert fleet("maintain", "a", "--for", "0.2", "--timeout", "5") == 0
    assert words(app) == [WHOLE[0], ["offline", "*", "--wait", "--timeout", "5"], WHOLE[2]]


def test_enter(app: App) -> None:
    """On a terminal, Enter ends it. The shell gets nothing of what was typed before it."""
    ours, theirs = pty.openpty()
    os.write(ours, b"typed before\n")
    with start("a", stdin=theirs) as process:
        for line in process.stderr or ():
            if "press Enter" in line:
                assert app.held == {"a": {"orders", "admin"}}
                os.write(ours, b"rm -r notes\n")
        assert process.wait(LATEST) == 0
    assert words(app) == WHOLE
    os.set_blocking(theirs, False)
    with pytest.raises(BlockingIOError):
        os.read(theirs, 100)
    for each in (ours, theirs):
        os.close(each)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("when", ["while it waits", "while it holds"])
def test_a_signal_brings_the_pod_back(
    api: ApiServer, app: App, number: signal.Signals, when: str
) -> None:
    """Ctrl-C, SIGTERM and a terminal that is closed all do."""
    app.hangs = {"offline"} if when == "while it waits" else set()
    with start("a", "--for", "60") as process:
        for line in process.stderr or ():
            if ("is offline for" if when == "while it holds" else "goes offline") in line:
                api.wait(lambda: app.held["a"], "the command has arrived in the pod")
                process.send_signal(number)
        assert process.wait(LATEST) == 128 + number
    assert app.held == {"a": set()}


def test_an_offline_that_comes_late_does_not_stay(api: ApiServer, app: App) -> None:
    """A command goes on in the pod. If it comes after the pod was brought back, it is undone."""
    arrived, late = threading.Event(), threading.Event()

    def execute(call: Call) -> int:
        if call.words[1] == "offline":
            arrived.set()
            late.wait(LATEST)  # it is slow to start, and has done nothing yet
        code = app(call)
        if call.words[1] == "online":
            late.set()
        return code

    api.execute = execute
    with start("a", "--for", "60") as process:
        assert arrived.wait(LATEST)
        process.send_signal(signal.SIGINT)
        assert process.wait(LATEST) == 130
    assert [each[0] for each in words(app)] == ["status", "online", "offline", "online"]
    assert app.held == {"a": set()}


def test_ctrl_c_is_the_business_of_the_command(api: ApiServer, app: App, tmp_path: Path) -> None:
    """The command gets it too, and may go on. SIGTERM is handed on."""
    flag = tmp_path / "there"
    script = (
        "trap 'echo int' INT; trap 'echo term; exit 3' TERM; "
        f"touch {flag}; while :; do sleep 0.1; done"
    )
    with start("a", "--", "sh", "-c", script, start_new_session=True) as process:
        api.wait(flag.exists, "the command runs")
        os.killpg(process.pid, signal.SIGINT)
        assert process.stdout is not None
        assert process.stdout.readline() == "int\n"
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.stdout.read() == "term\n"
        assert process.wait(LATEST) == 3
    assert app.held == {"a": set()}


def test_a_person_s_own_offline_stays(app: App, capsys: pytest.CaptureFixture[str]) -> None:
    """What was offline before is offline afterwards."""
    app.held["a"] = {"admin"}

    assert fleet("maintain", "a", "--for", "0.1") == 0
    assert words(app)[-1] == ["online", "orders"]
    assert app.held == {"a": {"admin"}}
    assert "pod/a: already offline, and stays offline at the end: admin" in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("failure", "problem"),
    [
        ({"offline": (1, "Time is over, and 2 requests are in flight.")}, "Time is over, and 2"),
        ({"offline": (2, "unrecognized arguments: --wait")}, "is too old for this command"),
    ],
)
def test_a_failure_brings_the_pod_back(
    app: App, capsys: pytest.CaptureFixture[str], failure: dict[str, tuple[int, str]], problem: str
) -> None:
    """The pod is not held, because it is still being served."""
    app.fails = failure

    assert fleet("maintain", "a", "--for", "60") == 1
    assert problem in capsys.readouterr().err
    assert app.held == {"a": set()}


def test_a_command_that_cannot_be_started(app: App, capsys: pytest.CaptureFixture[str]) -> None:
    """The pod comes back."""
    assert fleet("maintain", "a", "--", "no-such-program") == 2
    assert "no-such-program cannot be started: No such file" in capsys.readouterr().err
    assert app.held == {"a": set()}


def test_a_pod_that_does_not_come_back(
    app: App, kubeconfig: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message has the command that brings it back."""
    app.held["a"] = {"admin"}
    app.fails = {"online": (1, "the app is draining")}

    assert fleet("maintain", "a", "--for", "0.1", "--context", "fake") == 1
    shown = capsys.readouterr().err
    command = "lifecycle fleet online a -n shop --context fake --service orders"
    assert f"pod/a may still be offline. Bring it back with: {command}\n" in shown
    assert "The reason: lifecycle online in pod/a has failed with exit code 1: the app" in shown
    assert "errors.md#fleet-not-back" in shown


def test_an_api_server_that_is_away_for_a_moment(
    api: ApiServer, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bringing back is tried several times."""
    monkeypatch.setattr("lifecycle_fleet.switching.maintenance.PAUSES", (0.0, 0.1, 0.1))

    def execute(call: Call) -> int:
        code = app(call)
        if call.words[1] == "offline":
            api.forced["exec"] = [500, 503]
        return code

    api.execute = execute

    assert fleet("maintain", "a", "--for", "0.1") == 0
    assert app.held == {"a": set()}


@pytest.mark.parametrize(
    ("given", "code", "problem"),
    [
        (["a"], 2, "stdin is not a terminal, so you cannot press Enter. Pass --for SECONDS, or a"),
        (["a", "--for", "5", "--", "true"], 2, "--for and a command exclude each other"),
        (["deploy/orders", "--for", "5"], 2, "maintain takes one pod, and deploy/orders is not"),
        (["c", "--for", "5"], 1, "there is no pod/c in the namespace shop"),
        (["a", "true"], 2, "put -- before the command: maintain POD -- COMMAND"),
        (["a", "--for", "never"], 2, "'never' is not a number of seconds"),
    ],
)
def test_what_is_refused_before_anything_is_done(
    api: ApiServer,
    app: App,
    capsys: pytest.CaptureFixture[str],
    given: list[str],
    code: int,
    problem: str,
) -> None:
    """Nothing runs in the pod."""
    api.put("deployments", deployment("orders"))

    assert fleet("maintain", *given) == code
    assert problem in capsys.readouterr().err
    assert app.calls == []


def test_the_last_pod_is_not_taken(
    api: ApiServer, app: App, capsys: pytest.CaptureFixture[str]
) -> None:
    """As with offline, --force takes it."""
    api.put("endpointslices", piece({"a": True, "b": False}))

    assert fleet("maintain", "a", "--for", "0.1") == 1
    assert "the Service orders would have no ready pod left" in capsys.readouterr().err
    assert app.calls == []
    assert fleet("maintain", "a", "--for", "0.1", "--force") == 0


def test_a_pod_without_app_services(app: App, capsys: pytest.CaptureFixture[str]) -> None:
    """There is nothing to take offline."""
    app.services = ()

    assert fleet("maintain", "a", "--for", "5") == 1
    assert "the app in pod/a has no app services" in capsys.readouterr().err
    assert words(app) == WHOLE[:1]
