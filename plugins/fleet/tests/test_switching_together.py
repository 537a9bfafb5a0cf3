"""Two commands at the same time do not take the last two pods of a Service out of traffic."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from plugins.fleet.tests.api_exec import Call
from plugins.fleet.tests.api_server import LATEST, ApiServer
from plugins.fleet.tests.app import App
from plugins.fleet.tests.objects import piece, pod, told
from plugins.fleet.tests.running import fleet

pytestmark = pytest.mark.usefixtures("kubeconfig")

COMMAND = [sys.executable, "-c", "from lifecycle_fleet.kubectl import main; main()"]
ALL = {"orders", "admin"}


@pytest.fixture
def app(api: ApiServer) -> App:
    """An app in each of two pods of one Service."""
    found = App("orders", "admin", api=api)
    api.execute = found
    for name in ("a", "b"):
        api.put("pods", pod(name, annotation=told(online=["orders", "admin"])))
    api.put("endpointslices", piece({"a": True, "b": True}))
    return found


def other_leaves(api: ApiServer, app: App, how: str) -> None:
    """Let the pod b leave while the command switches a."""

    def execute(call: Call) -> int:
        if call.words[1] == "offline":
            if how == "deleted":
                api.put("pods", pod("b", annotation=told(), deleted=True))
            elif how == "not ready":
                api.put("endpointslices", piece({"a": False, "b": False}))
            else:
                api.put("pods", pod("b", annotation=told(online=[], offline=["orders"])))
        return app(call)

    api.execute = execute


def test_both_have_looked_before_either_has_switched(api: ApiServer, app: App) -> None:
    """At least one of them takes its own back, and says so."""
    both = threading.Barrier(2)

    def execute(call: Call) -> int:
        if call.words[1] == "offline":
            both.wait(LATEST)
        return app(call)

    api.execute = execute
    commands = {
        name: subprocess.Popen(
            [*COMMAND, "offline", name], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for name in ("a", "b")
    }
    ends = {name: (each.communicate(timeout=LATEST), each) for name, each in commands.items()}
    codes = {name: each.returncode for name, (_, each) in ends.items()}
    assert 1 in codes.values()
    for name, ((_, shown), _) in ends.items():
        assert app.held[name] == (set() if codes[name] else ALL)
        assert ("left the Service orders at the same time" in shown) == bool(codes[name])


@pytest.mark.parametrize("how", ["offline", "deleted", "not ready"])
@pytest.mark.parametrize("words", [[], ["--wait"]])
def test_the_switch_is_taken_back(
    api: ApiServer, app: App, capsys: pytest.CaptureFixture[str], how: str, words: list[str]
) -> None:
    """Also if the Service shows the pod as not ready already."""
    other_leaves(api, app, how)

    assert fleet("offline", "a", *words) == 1
    assert app.held["a"] == set()
    shown = capsys.readouterr().err
    assert "other pods left the Service orders at the same time as pod/a" in shown
    assert "errors.md#fleet-last-pod" in shown
    assert fleet("offline", "a", *words, "--force") == 0


def test_a_wait_ends_with_it(api: ApiServer, app: App, capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody waits for a pod to be idle that is about to come back."""
    app.hangs = {"offline"}
    other_leaves(api, app, "offline")

    assert fleet("offline", "a", "--wait", "--timeout", "600") == 1
    assert [words[0] for _, words in app.calls] == ["offline", "online"]


def test_what_was_offline_before_stays_offline(api: ApiServer, app: App) -> None:
    """Only what this command has switched is brought back."""
    app.held["a"] = {"admin"}
    api.put("pods", pod("a", annotation=told(online=["orders"], offline=["admin"])))
    other_leaves(api, app, "offline")

    assert fleet("offline", "a") == 1
    assert app.held["a"] == {"admin"}


def test_a_pod_that_cannot_be_taken_back(
    api: ApiServer, app: App, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message has the command that does it."""
    app.fails = {"online": (1, "no")}
    other_leaves(api, app, "offline")

    assert fleet("offline", "a") == 1
    shown = capsys.readouterr().err
    assert "Bring it back with: lifecycle fleet online a -n shop" in shown
    assert "other pods left the Service orders" in shown


@pytest.mark.parametrize("forced", [{"watch pods": 403}, {"watch pods": 500}])
def test_a_pod_that_cannot_be_watched(
    api: ApiServer, app: App, monkeypatch: pytest.MonkeyPatch, forced: dict[str, int | list[int]]
) -> None:
    """The second look comes after the longest time that the annotation takes."""
    monkeypatch.setattr("lifecycle_fleet.switching.guard.SHOWN_TIME", 0.5)
    api.forced |= forced
    other_leaves(api, app, "offline")

    assert fleet("offline", "a") == 1
    assert app.held["a"] == set()


def test_a_pod_without_an_annotation(
    api: ApiServer, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same."""
    monkeypatch.setattr("lifecycle_fleet.switching.guard.SHOWN_TIME", 0.5)
    api.put("pods", pod("a"))
    other_leaves(api, app, "not ready")

    assert fleet("offline", "a") == 1
    assert app.held["a"] == set()


def test_a_second_look_that_fails(
    api: ApiServer, app: App, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is said, and the pod stays offline, because nothing is known to be wrong."""

    def execute(call: Call) -> int:
        api.forced["list endpointslices"] = 503
        return app(call)

    api.execute = execute

    assert fleet("offline", "a") == 0
    assert app.held["a"] == ALL
    assert "the Services were not checked again after pod/a went offline: API server" in (
        capsys.readouterr().err
    )


def test_maintain_looks_again_too(
    api: ApiServer, app: App, capsys: pytest.CaptureFixture[str]
) -> None:
    """The pod comes back before it is held."""
    other_leaves(api, app, "offline")

    assert fleet("maintain", "a", "--for", "600") == 1
    assert app.held["a"] == set()
    assert "other pods left the Service orders at the same time" in capsys.readouterr().err
