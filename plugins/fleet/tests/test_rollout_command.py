"""The command, against a fake cluster with a controller and a kubelet."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from lifecycle_fleet import command

from plugins.fleet.tests.api_server import LATEST
from plugins.fleet.tests.rollout_cluster import Behaviour, Cluster
from plugins.fleet.tests.rollout_objects import NAME, NAMESPACE

Start = Callable[..., Cluster]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Start a fake cluster, which is the one of KUBECONFIG. Its Events are never late."""
    for module in ("gate", "session"):
        monkeypatch.setattr(f"lifecycle_fleet.rollout.{module}.SETTLE", 0.2)
    with ExitStack() as stack:

        def start(replicas: int = 3, **more: Any) -> Cluster:
            cluster = stack.enter_context(Cluster(replicas, **more))
            path = cluster.kubeconfig(tmp_path, namespace=NAMESPACE)
            monkeypatch.setenv("KUBECONFIG", str(path))
            return cluster

        yield start


@contextmanager
def later(
    cluster: Cluster, condition: Callable[[], object], action: Callable[[], object]
) -> Iterator[None]:
    """Do something as soon as a condition holds, while the block runs."""

    def run() -> None:
        cluster.wait(condition, "the condition for what comes later")
        action()

    helper = threading.Thread(target=run)
    helper.start()
    try:
        yield
    finally:
        helper.join(LATEST)


class Ended:
    """A command that has ended: its exit code, and what it has printed."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err

    @property
    def found(self) -> Any:
        """The JSON."""
        return json.loads(self.out)


def rollout(capsys: pytest.CaptureFixture[str], *words: str) -> Ended:
    """Run the command in this process."""
    parser = argparse.ArgumentParser()
    command.add(parser)
    code = command.run(parser.parse_args(["rollout", *words]))
    return Ended(code, *capsys.readouterr())


def paused(cluster: Cluster) -> bool:
    return bool(cluster.deployment["spec"].get("paused"))


def pauses(cluster: Cluster) -> list[Any]:
    """Return the changes of `paused` by the command, in order."""
    return [each["spec"]["paused"] for each in cluster.patched if "paused" in each.get("spec", {})]


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
    """At its time limit, with what is missing, and the command that says why."""
    cluster = start()
    cluster.versions["2"] = new
    cluster.apply("2")
    ended = rollout(capsys, "deploy/orders", "--timeout", "1")

    assert ended.code == 1
    assert words in " ".join(ended.out.split())
    assert "lifecycle fleet why deploy/orders -n shop" in ended.out
    assert ("stuck" in ended.out.splitlines()[0]) == (verdict == "stuck")


def test_the_gate_opens_for_a_good_rollout(
    start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    """It holds twice: until the new pod has done well, and until an old one has left."""
    cluster = start()
    ended = rollout(capsys, "deploy/orders", "--restart", "--gate", "--gate-seconds", "0.5")

    assert ended.code == 0, ended.out + ended.err
    assert pauses(cluster) == [True, False, True, False]
    assert "The gate is open." in ended.out
    assert "kubectl -n shop rollout resume deployment/orders" in ended.err
    assert cluster.complete()
    assert not paused(cluster)


@pytest.mark.parametrize("replicas", [1, 2, 5])
def test_the_gate_opens_for_any_number_of_pods(
    start: Start, capsys: pytest.CaptureFixture[str], replicas: int
) -> None:
    """The defaults of Kubernetes let old pods leave with the first step."""
    cluster = start(replicas, surge="25%", unavailable="25%")
    ended = rollout(capsys, "deploy/orders", "--restart", "--gate", "--gate-seconds", "0.3")

    assert ended.code == 0, ended.out + ended.err
    assert cluster.complete()
    assert not paused(cluster)


GATED = {
    "crashes": ("2", Behaviour(crash=3)),
    "cannot be pulled": ("2", Behaviour(image=False)),
    "is never ready": ("2", Behaviour(start=None)),
    "cuts requests off": ("1", Behaviour(code=124)),
    "is killed": ("1", Behaviour(code=137)),
    "has a failing hook": ("1", Behaviour(hook=False)),
}


@pytest.mark.parametrize(("version", "does"), GATED.values(), ids=GATED)
def test_the_gate_undoes_a_bad_rollout(
    start: Start, capsys: pytest.CaptureFixture[str], version: str, does: Behaviour
) -> None:
    """One old pod has left at most, and the old version is back."""
    cluster = start(4)
    cluster.versions |= {"2": Behaviour(start=1.5), version: does}
    before = {each["metadata"]["name"] for each in cluster.pods}
    words = ("--wait", "--gate", "--gate-seconds", "0.3", "--timeout", "12", "-o", "json")
    with later(cluster, lambda: cluster.watches >= 5, lambda: cluster.apply("2")):
        ended = rollout(capsys, "deploy/orders", *words)

    assert (ended.code, ended.found["verdict"]) == (1, "undone"), ended.err
    assert cluster.images() == {"1"}
    assert not paused(cluster)
    assert cluster.complete()
    left = before - {each["metadata"]["name"] for each in cluster.pods}
    assert len(left) <= (1 if version == "1" else 0)


def test_the_commands_to_copy_name_the_cluster(
    start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another context may be the current one."""
    cluster = start(1)
    cluster.patch("deployments", NAMESPACE, NAME, {"spec": {"paused": True}})
    ended = rollout(capsys, "deploy/orders", "--restart", "--context", "fake", "-n", NAMESPACE)

    assert "kubectl -n shop --context fake rollout resume deployment/orders" in ended.err


def test_a_gate_that_is_resumed_by_somebody_gives_up(
    start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    """It does not fight with a tool that keeps the Deployment as it is written down."""
    cluster = start()

    def resume() -> None:
        cluster.patch("deployments", NAMESPACE, NAME, {"spec": {"paused": None}})

    with later(cluster, lambda: paused(cluster), resume):
        ended = rollout(capsys, "deploy/orders", "--restart", "--gate", "--gate-seconds", "30")

    assert ended.code == 1
    assert "another person or tool resumed the Deployment" in ended.out
    assert pauses(cluster) == [True, None]


def test_a_gate_gives_up_if_somebody_applies(
    start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    """It resumes the Deployment, and undoes nothing of somebody else."""
    cluster = start()
    with later(cluster, lambda: paused(cluster), lambda: cluster.apply("3")):
        ended = rollout(capsys, "deploy/orders", "--restart", "--gate", "--gate-seconds", "30")

    assert ended.code == 1
    assert "another person or tool changed the template" in ended.out
    assert not paused(cluster)
    cluster.wait(cluster.complete, "the rollout of somebody else")
    assert cluster.images() == {"3"}


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
    """Of the API server."""
    start(1)
    ended = rollout(capsys, "deploy/nothing")

    assert ended.code == 1
    assert 'API server: not found: deployments "nothing" not found' in ended.err


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


def test_the_report_is_written(
    start: Start, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """As a page without a script."""
    start(1)
    ended = rollout(capsys, "deploy/orders", "--restart", "--report", str(tmp_path / "r.html"))
    found = (tmp_path / "r.html").read_text()

    assert ended.code == 0
    assert "Rolled out to revision 2" in found
    assert "<script" not in found


@pytest.mark.parametrize(
    ("path", "reason"), [("no/r", "there is no folder"), (".", "it is a folder")]
)
def test_a_report_that_cannot_be_written_is_refused_at_once(
    start: Start, capsys: pytest.CaptureFixture[str], tmp_path: Path, path: str, reason: str
) -> None:
    """Before the rollout."""
    cluster = start(1)
    ended = rollout(capsys, "deploy/orders", "--restart", "--report", str(tmp_path / path))

    assert ended.code == 1
    assert reason in ended.err
    assert not cluster.patched


@pytest.mark.parametrize(
    "words",
    [["orders", "--timeout", "0"], ["orders", "--gate-seconds", "x"], ["orders", "-o", "wide"]],
)
def test_wrong_options_are_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """With exit code 2."""
    with pytest.raises(SystemExit) as raised:
        rollout(capsys, *words)

    assert raised.value.code == 2


@pytest.mark.parametrize(("target", "code"), [("sts/orders", 2), ("pod/orders", 2), ("deploy/", 1)])
def test_what_is_no_deployment_is_refused(
    target: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a request."""
    assert rollout(capsys, target).code == code


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_an_interrupt_does_not_leave_the_deployment_paused(
    start: Start, number: signal.Signals, code: int
) -> None:
    """The gate has not opened, so the rollout is undone."""
    cluster = start()
    words = ["deploy/orders", "--restart", "--gate", "--gate-seconds", "60"]
    with subprocess.Popen(
        [sys.executable, "-m", "lifecycle", "fleet", "rollout", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=dict(os.environ),
    ) as process:
        try:
            cluster.wait(lambda: paused(cluster), "the gate holds")
            process.send_signal(number)
            out, err = process.communicate(timeout=LATEST)
        finally:
            process.kill()

    assert process.returncode == code, err
    assert not paused(cluster)
    assert " was undone after " in out.splitlines()[0]
    assert "Traceback" not in err
    cluster.wait(cluster.complete, "the undo")
    assert "restartedAt" not in json.dumps(cluster.deployment["spec"])


def test_an_interrupt_while_the_restart_is_sent_undoes_it_too(start: Start) -> None:
    """The API server carries out what it has received, so the command waits for the answer."""
    cluster = start()
    cluster.slow = 0.5
    words = ["deploy/orders", "--restart", "--gate"]
    with subprocess.Popen(
        [sys.executable, "-m", "lifecycle", "fleet", "rollout", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            cluster.wait(lambda: cluster.patched, "the restart is sent")
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=LATEST)
        finally:
            process.kill()

    assert process.returncode == 130, err
    assert " was undone after " in out.splitlines()[0]
    assert "restartedAt" not in json.dumps(cluster.deployment["spec"])
    assert not paused(cluster)


def test_an_interrupt_without_a_gate_lets_the_rollout_go_on(start: Start) -> None:
    """And says so."""
    cluster = start()
    cluster.versions["2"] = Behaviour(start=None)
    cluster.apply("2")
    with subprocess.Popen(
        [sys.executable, "-m", "lifecycle", "fleet", "rollout", "deploy/orders"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stderr is not None
            first = process.stderr.readline()
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=LATEST)
        finally:
            process.kill()

    assert process.returncode == 130, first + err
    assert "the rollout continues" in out
    assert cluster.deployment["spec"]["template"]["spec"]["containers"][0]["image"] == "orders:2"


@pytest.mark.timeout(120)
def test_an_api_server_that_is_away_leaves_the_commands_to_run(
    start: Start, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing can be undone, so the person must."""
    monkeypatch.setattr("lifecycle_fleet.rollout.control.LIMIT", 1.0)
    cluster = start()

    def refuse() -> None:
        cluster.forced["patch deployments"] = 503

    with later(cluster, lambda: paused(cluster), refuse):
        ended = rollout(capsys, "deploy/orders", "--restart", "--gate", "--gate-seconds", "1")

    assert ended.code == 1
    assert (
        "kubectl -n shop rollout resume deployment/orders && "
        "kubectl -n shop rollout undo deployment/orders"
    ) in ended.err


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
