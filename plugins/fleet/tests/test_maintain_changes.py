"""`maintain`, while others change the pod."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lifecycle_fleet.cluster.in_pod import Place
from lifecycle_fleet.switching.back import pattern_of
from lifecycle_fleet.switching.changes import PodChanges, end_of

from plugins.fleet.tests.api_server import LATEST, ApiServer
from plugins.fleet.tests.app import App
from plugins.fleet.tests.objects import at, piece, pod, told
from plugins.fleet.tests.running import fleet

pytestmark = pytest.mark.usefixtures("kubeconfig")

COMMAND = [sys.executable, "-c", "from lifecycle_fleet.kubectl import main; main()", "maintain"]
ALL = {"orders", "admin"}
HERE = Place("shop", "a", "app", ("lifecycle",))


@pytest.fixture
def app(api: ApiServer) -> App:
    """An app in each of two pods of one Service."""
    found = App("orders", "admin", api=api)
    api.execute = found
    for name in ("a", "b"):
        api.put("pods", pod(name, annotation=told(online=["orders", "admin"])))
    api.put("endpointslices", piece({"a": True, "b": True}))
    return found


def start(*more: str) -> subprocess.Popen[str]:
    """Start the command as a process."""
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [*COMMAND, *more], text=True, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe
    )


def held(process: subprocess.Popen[str]) -> None:
    """Wait until the pod is held."""
    assert process.stderr is not None
    assert any(": is offline" in line for line in process.stderr)


def test_a_second_one_is_refused(app: App, capsys: pytest.CaptureFixture[str]) -> None:
    """The end of the first one would bring the pod online under the second one."""
    with start("a", "--for", "600") as process:
        held(process)
        assert fleet("maintain", "a", "--for", "0.1") == 1
        assert app.held["a"] == ALL
        process.terminate()
        assert process.wait(LATEST) == 128 + 15
    assert app.held["a"] == set()
    assert "all app services in pod/a are offline already, by a person or" in (
        capsys.readouterr().err
    )


def test_another_command_brings_the_pod_online(api: ApiServer, app: App) -> None:
    """The hold is over at once, and the message says why."""
    with start("a", "--for", "600") as process:
        held(process)
        assert fleet("online", "a", "--service", "orders") == 0
        _, shown = process.communicate(timeout=LATEST)
    assert process.returncode == 0
    assert "pod/a: was brought online by another command, so the maintenance is over" in shown
    assert app.held["a"] == set()


def test_an_earlier_online_that_is_shown_late_changes_nothing() -> None:
    """The annotation may be a moment behind."""
    same = {"running": {"startedAt": at(100)}}
    out, back = (
        pod("a", state=same, annotation=told(online=online, offline=offline))
        for online, offline in (([], ["orders"]), (["orders"], []))
    )
    changes = PodChanges(HERE, out, "*")
    for each in (out, back, out):
        changes.look(None, each)
    changes.hold()
    assert not changes.over.is_set()
    changes.look(None, back)
    assert changes.why == "was brought online by another command"


def restarted() -> Any:
    return pod("a", annotation=told(), restarts=1, state={"running": {"startedAt": at(0)}})


LEFT: list[tuple[Callable[[ApiServer], object], str]] = [
    (lambda api: api.delete("pods", "shop", "a"), "was deleted"),
    (lambda api: api.put("pods", pod("a", annotation=told(), deleted=True)), "is being deleted"),
    (lambda api: api.put("pods", restarted()), "has a container app that has ended or was"),
    (
        lambda api: api.put(
            "pods", {**pod("a"), "metadata": pod("a")["metadata"] | {"uid": "another"}}
        ),
        "was deleted",
    ),
]


@pytest.mark.parametrize(("change", "why"), LEFT)
def test_the_pod_is_gone_meanwhile(
    api: ApiServer, app: App, change: Callable[[ApiServer], object], why: str
) -> None:
    """There is nothing to bring back, which is no failure."""
    with start("a", "--for", "600") as process:
        held(process)
        app.fails["online"] = (1, "online does not work")
        change(api)
        _, shown = process.communicate(timeout=LATEST)
    assert process.returncode == 0
    assert f"pod/a: {why}" in shown
    assert "so the maintenance is over" in shown
    assert "so there is nothing to bring back" in shown
    assert "may still be offline" not in shown


@pytest.mark.parametrize(("change", "why"), LEFT)
def test_a_command_goes_on_without_the_pod(
    api: ApiServer,
    app: App,
    tmp_path: Path,
    change: Callable[[ApiServer], object],
    why: str,
) -> None:
    """The person is told, and decides. The exit code is that of the command."""
    flag = tmp_path / "go"
    script = f"while [ ! -e {flag} ]; do sleep 0.1; done; exit 7"
    with start("a", "--", "sh", "-c", script) as process:
        held(process)
        app.fails["online"] = (1, "online does not work")
        change(api)
        assert process.stderr is not None
        line = process.stderr.readline()
        flag.touch()
        assert process.wait(LATEST) == 7
    assert f"pod/a: {why}" in line
    assert line.endswith(", and the command still runs\n")


@pytest.mark.parametrize("forced", [{}, {"watch pods": 403}])
def test_the_app_drains_meanwhile(
    api: ApiServer,
    app: App,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    forced: dict[str, Any],
) -> None:
    """Its own refusal says so, also if the pod cannot be watched."""
    monkeypatch.setattr("lifecycle_fleet.switching.guard.SHOWN_TIME", 0.5)
    api.forced |= forced
    app.fails["online"] = (1, "online is not possible while the app is draining\nSee …")

    assert fleet("maintain", "a", "--for", "0.1") == 0
    shown = capsys.readouterr().err
    assert "pod/a: has an app that drains, so there is nothing to bring back" in shown


def test_a_missing_right_to_see_changes_is_said(
    api: ApiServer, app: App, capsys: pytest.CaptureFixture[str]
) -> None:
    """The pod is held all the same."""
    api.forced["list pods"] = 403

    assert fleet("maintain", "a", "--for", "0.1", "--force") == 0
    assert "changes of pod/a are not noticed meanwhile: API server: forbidden" in (
        capsys.readouterr().err
    )
    assert app.held["a"] == set()


@pytest.mark.parametrize(
    ("before", "now", "why"),
    [
        (told(), told(online=[], offline=["orders"]), ""),
        (told(), None, ""),
        (None, told(), ""),
        (told(), told("draining"), "has an app that is draining"),
        (told(), told("failed"), "has an app that is failed"),
        (told("failed"), told("failed"), ""),
    ],
)
def test_the_annotation_alone(before: str | None, now: str | None, why: str) -> None:
    """A drain without a deletion is seen there. What an earlier container left there is not one."""
    same = {"running": {"startedAt": at(100)}}
    first, then = (pod("a", annotation=each, state=same) for each in (before, now))
    assert end_of(HERE, first, then) == why


@pytest.mark.parametrize(
    ("name", "pattern"),
    [("orders", "orders"), ("--help", "[-]-help"), ("-h", "[-]h"), ("a*[b]", "a[*][[]b]")],
)
def test_a_name_as_a_pattern(name: str, pattern: str) -> None:
    """It matches nothing else, and is no option."""
    assert pattern_of(name) == pattern
