"""The command with a gate, and what an interrupt leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from plugins.fleet.tests.api_server import LATEST
from plugins.fleet.tests.rollout_objects import NAME, NAMESPACE
from plugins.fleet.tests.rollout_running import Start, later, paused, pauses, rollout
from plugins.fleet.tests.rollout_specs import Behaviour


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
    assert "To find out why" not in out, "the person knows"
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
