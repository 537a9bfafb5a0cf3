"""Init containers and native sidecars, in the list and on the page."""

from __future__ import annotations

from typing import Any

import pytest
from lifecycle_fleet.cluster.kinds import POD
from lifecycle_fleet.view import pruned
from lifecycle_fleet.view.kind import kind_of
from lifecycle_fleet.view.pod import view
from lifecycle_fleet.view.problem import problem

from plugins.fleet.tests import pods
from plugins.fleet.tests.pods import NOW, container
from plugins.fleet.tests.test_pruned import shaped

LOOP = "waiting CrashLoopBackOff"


def seen(
    *initial: dict[str, Any], sidecars: tuple[str, ...] = (), app: str = "", told: bool = False
) -> Any:
    """Return a pod with init containers, whose app waits for them unless it has a state."""
    pod = pods.pod(
        annotation="" if told else None,
        ready=told,
        state=app or "waiting PodInitializing",
        status={} if app else {"phase": "Pending"},
        created=NOW - 60,
    )
    pod["status"]["initContainerStatuses"] = [*initial]
    pod["spec"]["initContainers"] = [
        {"name": each["name"]} | ({"restartPolicy": "Always"} if each["name"] in sidecars else {})
        for each in initial
    ]
    return pod


def init(state: str, restarts: int = 0, name: str = "migrate") -> dict[str, Any]:
    """Return the status of an init container."""
    return container(state, restarts) | {"name": name}


PROXY = ("proxy",)
CASES: dict[str, tuple[Any, str, str, str, int]] = {
    "it crashes": (
        seen(init(LOOP, 7)),
        "Init:CrashLoopBackOff",
        "not ready",
        "Init:CrashLoopBackOff",
        7,
    ),
    "it has just crashed": (seen(init("ended 1", 2)), "Init:Error", "not ready", "Init:Error", 2),
    "its image is missing": (
        seen(init("ended 0", name="first"), init("waiting ImagePullBackOff")),
        "Init:ImagePullBackOff",
        "not ready",
        "Init:ImagePullBackOff",
        0,
    ),
    "it runs": (seen(init("running", 1)), "PodInitializing", "starting", "", 1),
    "it waits": (seen(init("waiting PodInitializing")), "PodInitializing", "starting", "", 0),
    "it is done": (seen(init("ended 0", 3), app="running", told=True), "ready", "ready", "", 0),
    "a native sidecar keeps the app from its start": (
        seen(init(LOOP, 4, "proxy"), sidecars=PROXY),
        "Init:CrashLoopBackOff",
        "not ready",
        "Init:CrashLoopBackOff",
        4,
    ),
    "a native sidecar crashes beside the app": (
        seen(init("ended 0", 3), init(LOOP, 9, "proxy"), sidecars=PROXY, app="running", told=True),
        "ready",
        "ready",
        "",
        9,
    ),
    "a native sidecar was restarted": (
        seen(init("running", 1, "proxy"), sidecars=PROXY, app="running", told=True),
        "ready",
        "ready",
        "",
        1,
    ),
    "a native sidecar crashes beside a program that tells nothing": (
        seen(init(LOOP, 9, "proxy"), sidecars=PROXY, app="running"),
        "CrashLoopBackOff",
        "not ready",
        "CrashLoopBackOff",
        9,
    ),
    "a native sidecar ends after the app": (
        seen(init("ended 2", 0, "proxy"), sidecars=PROXY, app="ended 0"),
        "Completed",
        "ended",
        "",
        0,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_pod_with_init_containers(name: str) -> None:
    """Its state is the one that kubectl shows, and so is the number of restarts."""
    pod, state, kind, text, restarts = CASES[name]
    found = view(pod, in_slices="yes")

    assert (found.state, kind_of(found)) == (state, kind)
    assert problem(found, NOW).text == text
    assert found.restarts == restarts
    assert view(pruned.pod(pod), in_slices="yes") == found
    assert pruned.pod(shaped(POD, pod)) == pruned.pod(pod)


def test_a_code_without_a_reason() -> None:
    """The kubelet may leave the reason out."""
    failed = init("ended 7")
    failed["state"]["terminated"]["reason"] = ""

    assert view(seen(failed)).state == "Init:ExitCode:7"
    assert view(pruned.pod(seen(failed))) == view(seen(failed))


def test_a_reason_stays_on_its_line() -> None:
    """Whoever writes the status of a pod must not write to the terminal."""
    hostile = {"name": "a", "state": {"waiting": {"reason": "\x1b[2J\n<b>"}}}

    assert view(seen(hostile)).state == "Init:�[2J�<b>"


def test_init_containers_with_which_nothing_is_wrong_take_no_memory() -> None:
    """Each pod of a mesh has some."""
    pod = seen(
        init("ended 0", 1),
        init("running", name="proxy"),
        sidecars=PROXY,
        app="running",
        told=True,
    )

    kept = pruned.pod(pod)
    assert "initContainers" not in kept["spec"]
    assert "initContainerStatuses" not in kept["status"]
