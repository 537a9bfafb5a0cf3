"""The fixture `kubelet` in plain functions, as users write them, and what its import costs."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import lifecycle.testing
from lifecycle.testing import BlockingKubelet, Container, PodEnded, PodSpec, Service, Sleep
from tests.testing.kit import get, paths, quick, web


def test_start_ready_delete(kubelet: BlockingKubelet, tmp_path: Path):
    """A plain function runs a pod, waits, deletes it, and reads what came of it."""
    pod = kubelet.run(web(tmp_path, readiness=quick(get("/")), pre_stop=Sleep(0.3), name="web"))
    service = Service(0.0)
    service.add(pod, "http")
    pod.until_ready()
    assert [each.name for each in service.client().endpoints()] == ["web"]
    pod.until(lambda _: paths(tmp_path).count("/") >= 2)
    deleting = pod.delete()
    assert deleting.record.exited is None
    deletion = deleting.wait()
    pod.until_finished()

    assert (deletion.exit_code, deletion.killed) == (0, False)
    assert pod.deletion is deletion
    assert (pod.phase, pod.ready, pod.finished, pod.pid) == ("Succeeded", False, True, None)
    assert (pod.restart_count, pod.exit_codes, pod.endings) == (0, [0], [])
    assert pod.ports["http"] == pod.port("http")
    assert pod.said("Killing") == ["Stopping container app"]
    assert pod.events[0].reason == "Created"
    assert pod.describe().startswith("pod web: Succeeded")
    assert "listening" in pod.output
    assert service.slice == ()


def test_errors_reach_the_test(kubelet: BlockingKubelet, tmp_path: Path):
    """What does not come is raised in the test."""
    ended = kubelet.run(PodSpec(Container(["false"]), restart_policy="Never"))
    ended.until_finished()
    with pytest.raises(PodEnded):
        ended.until_ready()
    pod = kubelet.run(web(tmp_path))
    with pytest.raises(TimeoutError):
        pod.until(lambda pod: pod.finished, 0.05)
    with pytest.raises(RuntimeError, match="BlockingKubelet"):
        BlockingKubelet().run(web(tmp_path))


def test_what_a_test_leaves_is_ended():
    """Whatever still runs when the kubelet is left is gone."""
    with BlockingKubelet() as kubelet:
        pod = kubelet.run(PodSpec(Container(["sleep", "60"])))
        pid = pod.pid

    assert not Path(f"/proc/{pid}").exists()


def test_pytest_finds_the_fixture():
    """The entry point is the plugin, and loading it imports nothing of the kubelet."""
    (point,) = [each for each in entry_points(group="pytest11") if each.name == "lifecycle"]
    script = (
        "import sys, pytest; before = set(sys.modules); "
        f"import {point.value}; print(*sorted(set(sys.modules) - before))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout.split()

    assert loaded == ["lifecycle", "lifecycle.testing", "lifecycle.testing.pytest_plugin"]


def test_the_core_imports_nothing_of_it():
    """Neither the façade nor an app's run pays for the test kit."""
    script = (
        "import sys, lifecycle, lifecycle.process.run, lifecycle.asgi; lifecycle.run; "
        "print(*(name for name in sys.modules if name.startswith('lifecycle.testing')))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    ).stdout.split()

    assert loaded == []


def test_every_public_name_is_there():
    """`__all__`, the lazy table and what can be imported are the same."""
    assert sorted(lifecycle.testing.__all__) == sorted(lifecycle.testing._HOME)
    assert all(getattr(lifecycle.testing, name) for name in lifecycle.testing.__all__)
    assert dir(lifecycle.testing) == sorted(lifecycle.testing.__all__)
    with pytest.raises(AttributeError, match="nothing"):
        lifecycle.testing.nothing  # noqa: B018
