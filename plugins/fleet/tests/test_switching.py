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
    found = App("orders", "admin", api=api)
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
    said = capsys.readouterr().err
    assert "cannot see whether another pod would be left. API server: forbidden: " in said
    assert plural in said
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


def test_pods_that_are_being_deleted_are_left_out(
    api: ApiServer, app: App, capsys: pytest.CaptureFixture[str]
) -> None:
    """They drain, and their app would refuse. If all are, that is an error."""
    api.put("pods", pod("a", annotation=told("draining"), deleted=True))

    assert fleet("online", "deploy/orders") == 0
    assert [name for name, _ in app.calls] == ["b", "c"]
    assert "lifecycle: left out: pod/a is being deleted" in capsys.readouterr().err
    for name in ("b", "c"):
        api.put("pods", pod(name, annotation=told("draining"), deleted=True))
    assert fleet("online", "deploy/orders") == 1
    assert "pod/c is being deleted" in capsys.readouterr().err


def test_one_refusal_does_not_keep_the_others_offline(
    api: ApiServer, app: App, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is reported with its reason, and the exit code is 1."""
    app.held = {name: {"orders", "admin"} for name in ("a", "b", "c")}

    def execute(call: Call) -> int:
        if call.pod == "a":
            call.err("online is not possible while the app is draining")
            return 1
        return app(call)

    api.execute = execute

    assert fleet("online", "deploy/orders") == 1
    assert app.held == {"a": {"orders", "admin"}, "b": set(), "c": set()}
    shown = capsys.readouterr().err
    assert "in pod/a has failed with exit code 1: online is not possible while" in shown
    assert "1 of 3 pods were not brought online" in shown
    assert "errors.md#fleet-in-a-pod" in shown


def test_a_missing_right_is_said_once(
    api: ApiServer, app: App, capsys: pytest.CaptureFixture[str]
) -> None:
    """It would be missing for the other pods too."""
    api.forced["exec"] = 403

    assert fleet("online", "deploy/orders") == 1
    assert capsys.readouterr().err.count("you may not run commands in pods") == 1


@pytest.mark.parametrize(
    ("target", "plural", "kind", "name"),
    [
        ("rs/orders-7d4b9c6f5", "replicasets", "ReplicaSet", "orders-7d4b9c6f5"),
        ("sts/orders", "statefulsets", "StatefulSet", "orders"),
        ("ds/orders", "daemonsets", "DaemonSet", "orders"),
    ],
)
def test_other_workloads(
    api: ApiServer, app: App, target: str, plural: str, kind: str, name: str
) -> None:
    """A ReplicaSet of a Deployment too. A pod of an earlier one of the same name is not its own."""
    api.put(plural, deployment("orders") | {"metadata": {"namespace": "shop", "name": name}})
    uid = api.objects[plural, "shop", name]["metadata"]["uid"]
    for each, owner in (("a", uid), ("b", uid), ("c", "another")):
        thing = pod(each, annotation=told(online=["orders", "admin"]))
        reference = {"kind": kind, "name": name, "uid": owner, "controller": True}
        thing["metadata"]["ownerReferences"] = [reference]
        api.put("pods", thing)

    assert fleet("online", target) == 0
    assert [each for each, _ in app.calls] == ["a", "b"]


@pytest.mark.parametrize("way", ["offline", "online"])
@pytest.mark.parametrize("service", ["--help", "-h", "--port=1"])
def test_a_service_is_no_option(
    app: App, capsys: pytest.CaptureFixture[str], way: str, service: str
) -> None:
    """`lifecycle` in the pod would take it for one, and do something else."""
    assert fleet(way, "a", f"--service={service}") == 2
    shown = capsys.readouterr().err
    assert f"--service takes a pattern of names, and {service!r} is an option" in shown
    assert "errors.md#wrong-arguments" in shown
    assert app.calls == []


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
