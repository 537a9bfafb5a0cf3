"""`offline` and `online`: which pods, in which order, and what protects from an outage."""

from __future__ import annotations

from typing import Any

import pytest

from plugins.fleet.tests.api_exec import Call
from plugins.fleet.tests.api_server import ApiServer
from plugins.fleet.tests.app import App
from plugins.fleet.tests.objects import deployment, piece, pod, told
from plugins.fleet.tests.running import fleet

pytestmark = pytest.mark.usefixtures("kubeconfig")


@pytest.fixture
def app(api: ApiServer) -> App:
    """An app in each of three pods of one Service."""
    found = App("orders", "admin")
    api.execute = found
    api.put("deployments", deployment("orders"))
    for name in ("a", "b", "c"):
        api.put("pods", pod(name, annotation=told(online=["orders", "admin"])))
    api.put("endpointslices", piece({"a": True, "b": True, "c": True}))
    return found


def test_one_pod(app: App, capsys: pytest.CaptureFixture[str]) -> None:
    """All its app services, or those of a pattern, go offline and come back."""
    assert fleet("offline", "a") == 0
    assert fleet("online", "pod/a", "--service", "ord*") == 0
    assert app.calls == [("a", ["offline", "*"]), ("a", ["online", "ord*"])]
    assert app.held == {"a": {"admin"}}
    assert capsys.readouterr().out == "pod/a: OK: admin, orders\npod/a: OK: orders\n"


def test_waiting_is_done_in_the_pod(app: App) -> None:
    """--wait and its limit are handed on."""
    assert fleet("offline", "a", "--wait", "--timeout", "90") == 0
    assert fleet("offline", "b", "--wait") == 0
    assert [words for _, words in app.calls] == [
        ["offline", "*", "--wait", "--timeout", "90"],
        ["offline", "*", "--wait", "--timeout", "60"],
    ]


def test_a_workload_is_switched_pod_by_pod(app: App, capsys: pytest.CaptureFixture[str]) -> None:
    """By name, one after another."""
    assert fleet("offline", "deploy/orders", "--force") == 0
    assert fleet("online", "deploy/orders") == 0
    assert [name for name, _ in app.calls] == ["a", "b", "c", "a", "b", "c"]
    assert not any(app.held.values())


@pytest.mark.parametrize(
    ("words", "slices", "problem"),
    [
        (
            ["deploy/orders"],
            [piece({"a": True, "b": True, "c": True})],
            "without all 3 ready pods, the Service orders would have no ready pod left",
        ),
        (["a"], [piece({"a": True, "b": False})], "without a, the Service orders would have"),
        (
            ["a"],
            [piece({"a": True, "b": True}), piece({"a": True}, service="grpc")],
            "the Service grpc would have no ready pod left",
        ),
    ],
)
def test_the_last_ready_pods_are_not_taken(
    api: ApiServer,
    app: App,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    slices: list[Any],
    problem: str,
) -> None:
    """Nothing is switched, and the message says what to do instead. --force switches."""
    for each in slices:
        api.put("endpointslices", each)

    assert fleet("offline", *words) == 1
    shown = capsys.readouterr().err
    assert problem in shown
    assert "pass --force" in shown
    assert "errors.md#fleet-last-pod" in shown
    assert app.calls == []
    assert fleet("offline", *words, "--force") == 0
    assert app.calls != []


@pytest.mark.parametrize(
    ("words", "slices"),
    [
        (["a"], []),
        (["a"], [piece({"b": True})]),
        (["a"], [piece({"a": False, "b": False})]),
        (["a"], [piece({"a": True}, name="one"), piece({"b": True}, name="two")]),
        (["deploy/orders"], [piece({"a": True, "b": True, "c": True, "green": True})]),
        (["deploy/orders", "--service", "admin"], [piece({"a": True, "b": True, "c": True})]),
    ],
    ids=["no Service", "not in it", "not ready", "two slices", "blue and green", "one of two"],
)
def test_what_does_no_harm_needs_no_force(
    api: ApiServer, app: App, words: list[str], slices: list[Any]
) -> None:
    """A pod that is not found, a Service that keeps others, and a pod that stays ready."""
    api.delete("endpointslices", "shop", "orders-abc")
    for each in slices:
        api.put("endpointslices", each)

    assert fleet("offline", *words) == 0


@pytest.mark.parametrize(
    "leaving",
    [
        {"annotation": told(online=[], offline=["orders", "admin"])},
        {"annotation": told("draining")},
        {"annotation": told("failed")},
        {"annotation": told(), "deleted": True},
    ],
)
def test_a_pod_that_is_on_its_way_out_does_not_count(
    api: ApiServer, app: App, capsys: pytest.CaptureFixture[str], leaving: dict[str, Any]
) -> None:
    """The slices may still show a pod that was taken offline, drains or was deleted a moment ago."""
    for name in ("b", "c"):
        api.put("pods", pod(name, **leaving))

    assert fleet("offline", "a") == 1
    assert "would have no ready pod left" in capsys.readouterr().err


def test_before_each_pod_the_services_are_looked_at(
    api: ApiServer, app: App, capsys: pytest.CaptureFixture[str]
) -> None:
    """If the others go meanwhile, it stops in time."""
    api.put("endpointslices", piece({"a": True, "b": True, "c": True, "green": True}))

    def execute(call: Call) -> int:
        if call.pod == "b":
            api.put("endpointslices", piece({"a": True, "b": True, "c": True}))
        return app(call)

    api.execute = execute

    assert fleet("offline", "deploy/orders") == 1
    assert [name for name, _ in app.calls] == ["a", "b"]


@pytest.mark.parametrize("plural", ["endpointslices", "pods"])
def test_without_the_right_to_look_it_is_refused(
    api: ApiServer, app: App, capsys: pytest.CaptureFixture[str], plural: str
) -> None:
    """What cannot be seen is not taken for harmless."""
    api.forced[f"list {plural}"] = 403

    assert fleet("offline", "a") == 1
    assert "cannot see whether another pod would be left" in capsys.readouterr().err
    assert fleet("offline", "a", "--force") == 0


def test_the_first_failure_ends_it(
    api: ApiServer, app: App, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message has the reason of the pod, and names the pods that were not switched."""
    app.fails["offline"] = (1, "Time is over, and 2 requests are in flight.\nmore")

    assert fleet("offline", "deploy/orders", "--force", "--wait") == 1
    shown = capsys.readouterr().err
    assert [name for name, _ in app.calls] == ["a"]
    assert "lifecycle: these pods were not switched offline: pod/b, pod/c" in shown
    assert "in pod/a has failed with exit code 1: Time is over, and 2 requests are in" in shown


def test_pods_that_do_not_run_are_left_out(
    api: ApiServer, app: App, capsys: pytest.CaptureFixture[str]
) -> None:
    """They have nothing to switch. If none runs, that is an error."""
    for name in ("a", "b"):
        api.put("pods", pod(name, ready=False, state={"waiting": {"reason": "Pulling"}}))

    assert fleet("online", "deploy/orders") == 0
    assert [name for name, _ in app.calls] == ["c"]
    assert "lifecycle: left out: the container app of pod/a does not run" in capsys.readouterr().err
    assert fleet("online", "a") == 1


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["offline"], "the following arguments are required: POD"),
        (["offline", "a", "--timeout", "soon"], "'soon' is not a number of seconds, above 0"),
        (["offline", "a", "--timeout", "-1"], "'-1' is not a number of seconds, above 0"),
        (["offline", "a", "b"], "unrecognized arguments: b"),
        (["online", "a", "--wait"], "unrecognized arguments: --wait"),
        (["offline", "a", "--timeout", "5"], "--timeout needs --wait"),
        (["maintain"], "the following arguments are required: POD\n"),
        (["oflfine", "a"], "invalid choice: 'oflfine' (choose from"),
        ([], "the following arguments are required: COMMAND"),
        (["ls", "-o", "xml"], "invalid choice: 'xml' (choose from 'wide', 'json', 'yaml')"),
        (["inflight", "a", "--limit", "many"], "invalid int value: 'many'"),
    ],
)
def test_wrong_arguments(
    capsys: pytest.CaptureFixture[str], words: list[str], problem: str
) -> None:
    """Each has a message and a page, and the exit code is 2."""
    assert fleet(*words) == 2
    shown = capsys.readouterr().err
    assert problem in shown
    assert "errors.md#wrong-arguments" in shown
