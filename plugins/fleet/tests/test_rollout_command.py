"""The command, against a fake cluster with a controller and a kubelet."""

from __future__ import annotations

from typing import Any

import pytest

from plugins.fleet.tests.api_server import LATEST
from plugins.fleet.tests.rollout_cluster import Cluster
from plugins.fleet.tests.rollout_objects import NAME, NAMESPACE
from plugins.fleet.tests.rollout_running import Start, later, paused, pauses, rollout
from plugins.fleet.tests.rollout_specs import Behaviour


def test_a_good_rollout_is_clean(start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    """It restarts the pods, watches to the end, and says what each pod took."""
    cluster = start()
    ended = rollout(capsys, "deploy/orders", "--restart")

    assert ended.code == 0
    assert ended.out.splitlines()[0].startswith("deploy/orders: rolled out to revision 2 in ")
    assert ended.out.splitlines()[0].endswith(", and every pod left cleanly")
    assert sum(each.endswith(" clean") for each in ended.out.splitlines()) == 3
    assert "ready after" in ended.err
    assert cluster.complete()
    assert not pauses(cluster)


def test_the_watches_begin_before_the_change(
    start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    """So that nothing of the rollout is missed."""
    cluster = start()
    rollout(capsys, "deployment/orders", "--restart")
    asked = [(each.verb, each.plural) for each in cluster.asked]

    assert asked[:1] == [("get", "deployments")]
    lists = {each for each in asked[: asked.index(("patch", "deployments"))] if each[0] == "list"}
    assert {each for _, each in lists} == {
        "deployments",
        "replicasets",
        "pods",
        "events",
        "endpointslices",
    }


def test_each_watch_is_for_what_is_needed(start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    """A namespace may have thousands of other pods, and Events about everything."""
    cluster = start()
    rollout(capsys, "deploy/orders", "--restart")
    selectors = {
        each.plural: (each.query.get("labelSelector"), each.query.get("fieldSelector"))
        for each in cluster.asked
        if each.verb in ("list", "watch")
    }

    assert selectors == {
        "deployments": (None, "metadata.name=orders"),
        "replicasets": ("app=orders", None),
        "pods": ("app=orders", None),
        "events": (None, "involvedObject.kind=Pod"),
        "endpointslices": (None, None),
    }


@pytest.mark.parametrize("verb", ["list", "watch"])
@pytest.mark.parametrize(
    "plural", ["deployments", "replicasets", "pods", "events", "endpointslices"]
)
def test_a_missing_right_is_told_before_anything_is_changed(
    start: Start, capsys: pytest.CaptureFixture[str], verb: str, plural: str
) -> None:
    """The right to list, and the right to watch."""
    cluster = start(1)
    cluster.forced[f"{verb} {plural}"] = 403

    ended = rollout(capsys, "deploy/orders", "--restart")

    assert ended.code == 1
    assert "forbidden: " in ended.err
    assert f'cannot {verb} resource "{plural}"' in ended.err
    assert not cluster.patched


BAD = {
    "killed": (Behaviour(code=137), "killed"),
    "cut off": (Behaviour(code=124), "cut off"),
    "a failed hook": (Behaviour(hook=False), "hook failed"),
    "another exit code": (Behaviour(code=1), "failed"),
    "an unknown exit": (Behaviour(told=False), "unknown"),
}


@pytest.mark.parametrize(("old", "outcome"), BAD.values(), ids=BAD)
def test_an_old_pod_that_did_not_leave_cleanly_fails_the_command(
    start: Start, capsys: pytest.CaptureFixture[str], old: Behaviour, outcome: str
) -> None:
    """The rollout is done all the same."""
    cluster = start(2)
    cluster.versions["1"] = old
    ended = rollout(capsys, "orders", "--restart", "-o", "json")

    assert (ended.code, ended.found["verdict"], ended.found["passed"]) == (1, "done", False)
    assert {each["outcome"] for each in ended.found["pods"] if not each["new"]} == {outcome}
    assert cluster.complete()


@pytest.mark.parametrize(("ahead", "node_ahead"), [(-40, -40), (40, 40), (0, -40)])
@pytest.mark.parametrize(
    ("old", "words", "wanted"),
    [
        (Behaviour(), ("--gate", "--gate-seconds", "0.3"), (0, "done", {"clean"})),
        (Behaviour(code=1), (), (1, "done", {"failed"})),
        (Behaviour(code=137), ("--gate", "--gate-seconds", "0.3"), (1, "undone", {"killed"})),
        (Behaviour(code=124), ("--gate", "--gate-seconds", "0.3"), (1, "undone", {"cut off"})),
    ],
    ids=["clean", "failed", "killed", "cut off"],
)
def test_wrong_clocks_change_no_verdict(
    start: Start,
    capsys: pytest.CaptureFixture[str],
    ahead: float,
    node_ahead: float,
    old: Behaviour,
    words: tuple[str, ...],
    wanted: tuple[int, str, set[str]],
) -> None:
    """Neither that of this machine, nor that of a node."""
    cluster = start(2, ahead=ahead, node_ahead=node_ahead)
    cluster.versions["1"] = old
    with later(cluster, lambda: cluster.watches >= 5, lambda: cluster.apply("2")):
        ended = rollout(capsys, "orders", "--wait", "--timeout", "15", "-o", "json", *words)

    left = {each["outcome"] for each in ended.found["pods"] if each["phase"] == "gone"}
    code, verdict, outcomes = wanted
    assert (ended.code, ended.found["verdict"]) == (code, verdict), ended.err
    assert outcomes <= left
    assert ended.found["clean"] is (outcomes == {"clean"})
    assert abs(cluster.now() - ended.found["began"]) < LATEST


def blinded(cluster: Cluster) -> None:
    """Refuse to serve Events from now on."""
    cluster.forced["watch events"] = 503
    cluster.end_watches()


def test_what_was_not_watched_is_not_clean(
    start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    """A hook may have failed while the Events were not there."""
    cluster = start(1)
    with later(cluster, lambda: cluster.patched, lambda: blinded(cluster)):
        ended = rollout(capsys, "deploy/orders", "--restart", "--timeout", "4")

    assert ended.code == 1
    assert "not everything was watched: " in ended.out
    assert "every pod left cleanly" not in ended.out


@pytest.mark.parametrize(
    ("words", "said"),
    [((), ": rolled out "), (("--gate", "--gate-seconds", "0.2"), " was undone ")],
    ids=["without a gate", "with a gate"],
)
def test_what_happened_during_an_outage_of_a_watch_counts(
    start: Start, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    """The command waits for the watch, and then sees the hook that has failed."""
    cluster = start(1)
    cluster.versions["1"] = Behaviour(hook=False)

    def outage() -> None:
        before = cluster.pods[0]["metadata"]["name"]
        blinded(cluster)
        cluster.wait(lambda: before not in str(cluster.pods), "the old pod has left")
        tries = len(cluster.asked) + 4
        cluster.wait(lambda: len(cluster.asked) >= tries, "the watch is tried again and again")
        del cluster.forced["watch events"]

    with later(cluster, lambda: cluster.patched, outage):
        ended = rollout(capsys, "deploy/orders", "--restart", "--timeout", "15", *words)

    assert ended.code == 1
    assert said in ended.out.splitlines()[0]
    assert "hook failed" in ended.out


def test_without_a_rollout_it_shows_what_is_there(
    start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    """And changes nothing."""
    cluster = start()
    ended = rollout(capsys, "deploy/orders")

    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("deploy/orders: no rollout is running\n")
    assert ended.out.count("orders-hash") == 3
    assert not cluster.patched


def test_it_waits_for_a_rollout(start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    """Of somebody else."""
    cluster = start(2)
    with later(cluster, lambda: cluster.watches >= 5, lambda: cluster.apply("2")):
        ended = rollout(capsys, "deploy/orders", "--wait")

    assert ended.code == 0
    assert cluster.images() == {"2"}


def test_a_wait_has_an_end(start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    """It says that nothing came."""
    start(1)
    ended = rollout(capsys, "deploy/orders", "--wait", "--timeout", "0.3")

    assert ended.code == 1
    assert "no rollout has started" in ended.out
    assert "Watching deploy/orders. It has no rollout yet." in ended.err


@pytest.mark.parametrize(
    ("new", "words", "verdict"),
    [
        (Behaviour(crash=3), "CrashLoopBackOff of container app, which exited with 3", "stuck"),
        (Behaviour(image=False), "ImagePullBackOff of container app: no such image", "stuck"),
        (Behaviour(start=None), "has been starting for", "timed out"),
    ],
    ids=["crash", "image", "never ready"],
)
def test_a_rollout_that_does_not_end_is_explained(
    start: Start,
    capsys: pytest.CaptureFixture[str],
    new: Behaviour,
    words: str,
    verdict: str,
) -> None:
    """At its time limit, with what is missing. The command that says why comes with the problem."""
    cluster = start()
    cluster.versions["2"] = new
    cluster.apply("2")
    ended = rollout(capsys, "deploy/orders", "--timeout", "1")

    assert ended.code == 1
    assert words in " ".join(ended.out.split())
    assert "lifecycle fleet why deploy/orders -n shop" in ended.out
    assert ("stuck" in ended.out.splitlines()[0]) == (verdict == "stuck")
    hints = [each for each in ended.err.splitlines() if each.startswith("To find out why, run: ")]
    assert hints == ["To find out why, run: lifecycle fleet why deploy/orders -n shop"] * (
        verdict == "stuck"
    )


REFUSED = {
    "a paused Deployment": ({"paused": True}, ("--restart",), "is paused"),
    "a gate of a paused Deployment": ({"paused": True}, ("--gate",), "is paused"),
    "Recreate": ({"strategy": {"type": "Recreate"}}, ("--gate", "--restart"), "Recreate"),
    "no old pod": ({}, ("--gate",), "no former revision"),
}


@pytest.mark.parametrize(("spec", "words", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_work_is_refused(
    start: Start,
    capsys: pytest.CaptureFixture[str],
    spec: dict[str, Any],
    words: tuple[str, ...],
    reason: str,
) -> None:
    """Before anything is changed."""
    cluster = start()
    cluster.patch("deployments", NAMESPACE, NAME, {"spec": spec})
    if "paused" not in spec and "strategy" not in spec:
        cluster.wait(cluster.complete, "the change is seen")
        words = (*words, "--wait", "--timeout", "0.2")
        reason = "no rollout has started"
    cluster.patched.clear()
    ended = rollout(capsys, "deploy/orders", *words)

    assert ended.code == 1
    assert reason in ended.err + ended.out
    assert not cluster.patched


def test_a_deployment_that_is_not_there_is_an_error(
    start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    """It names the one that the person may mean."""
    start(1)
    ended = rollout(capsys, "deploy/order")

    assert ended.code == 1
    assert (
        "there is no deploy/order in the namespace shop. Did you mean deploy/orders?" in ended.err
    )


def test_a_right_that_is_missing_is_named(start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    """Without Events, a failed hook would not be seen."""
    cluster = start(1)
    cluster.forced["list events"] = 403
    ended = rollout(capsys, "deploy/orders", "--restart")

    assert ended.code == 1
    assert "forbidden" in ended.err
    assert not cluster.patched


def test_a_watch_that_expires_loses_nothing(
    start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nor does an API server that is away for a moment."""
    cluster = start(4)
    cluster.versions |= dict.fromkeys(("1", "2"), Behaviour(start=0.4, drain=0.4))

    def disturb() -> None:
        cluster.expire()
        cluster.wait(lambda: cluster.watches >= 5, "the watches of the command")
        cluster.end_watches(reset=True)

    with later(cluster, lambda: len(cluster.pods) > 4, disturb):
        ended = rollout(capsys, "deploy/orders", "--restart")

    assert ended.code == 0, ended.out + ended.err


def test_a_deployment_that_is_deleted_ends_the_watch(
    start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    """There is nothing to undo."""
    cluster = start()

    def delete() -> None:
        cluster.delete("deployments", NAMESPACE, NAME)

    with later(cluster, lambda: paused(cluster), delete):
        ended = rollout(capsys, "deploy/orders", "--restart", "--gate", "--gate-seconds", "30")

    assert ended.code == 1
    assert "the Deployment was deleted" in ended.out
    assert "lifecycle: " not in ended.err


def test_the_past_of_the_pods_does_not_count(
    start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    """A container was killed last week."""
    cluster = start(1)
    (pod,) = cluster.pods
    (container,) = pod["status"]["containerStatuses"]
    killed = {"exitCode": 137, "reason": "OOMKilled", "finishedAt": "2026-01-02T03:04:05Z"}
    past = container | {"lastState": {"terminated": killed}, "restartCount": 3}
    change = {"status": {"containerStatuses": [past]}}
    cluster.patch("pods", NAMESPACE, pod["metadata"]["name"], change)
    ended = rollout(capsys, "deploy/orders", "--restart")

    assert ended.code == 0, ended.out
