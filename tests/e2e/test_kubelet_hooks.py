"""Kubernetes' e2e cases "Container Lifecycle Hook", on the real kubelet and on ours."""

from __future__ import annotations

import time
from typing import Any

from lifecycle.testing import Exec, HttpGet, Sleep
from tests.e2e.test_kubelet_probes import LISTENS, each_second, get, python
from tests.e2e.two_kubelets import Played, both
from tests.e2e.two_kubelets import pods as pods

FAILED = ("FailedPreStopHook", "PreStopHook failed")
CERTIFICATE = {"CERTIFICATE": "$(APP)/certificate.pem"}


def https(path: str, *headers: tuple[str, str]) -> HttpGet:
    return HttpGet("http", path, scheme="https", headers=headers)


def asks(path: str, then: str = "pass") -> Exec:
    """Have the server note that the command runs."""
    where = f"'http://127.0.0.1:' + os.environ['PORT_HTTP'] + '{path}'"
    script = f"import os, time, urllib.request\ntry: urllib.request.urlopen({where})"
    return python(f"{script}\nexcept OSError: pass\n{then}")


def delete(pod: Played) -> int | None:
    """Delete a pod once it listens; return its container's exit code."""
    pod.until(pod.started, "it listens")
    pod.delete()
    return pod.gone()


def seen(pod: Played, *ignored: str) -> list[Any]:
    """Return the paths that the server was asked, and its signals, in order."""
    each = [one.get("path", "SIGTERM") for one in pod.record("request", "sigterm")]
    return [one for one in each if one not in ("/started", *ignored)]


@both(startup=LISTENS, pre_stop=asks("/began", "time.sleep(1)"))
def test_prestop_exec(pod: Played) -> None:
    """A command runs inside, and SIGTERM comes after."""
    assert delete(pod) == 0
    assert seen(pod) == ["/began", "SIGTERM"]


@both(startup=LISTENS, pre_stop=get("/status/500"))
def test_prestop_http(pod: Played) -> None:
    """The request names the kubelet's lifecycle; its status is ignored, and SIGTERM comes after."""
    assert delete(pod) == 0
    assert seen(pod) == ["/status/500", "SIGTERM"]
    headers = pod.record("request")[-1]["headers"]
    assert headers.pop("Host")
    assert headers == {
        "User-Agent": "kube-lifecycle/1.34",
        "Accept": "*/*",
        "Accept-Encoding": "gzip",
    }
    assert FAILED not in pod.said()


@both(
    startup=each_second(https("/started"), failure_threshold=60),
    pre_stop=https("/bye"),
    env=CERTIFICATE,
)
def test_prestop_https(pod: Played) -> None:
    """Over HTTPS the certificate is not verified, for a probe and for a hook."""
    assert delete(pod) == 0
    assert seen(pod) == ["/bye", "SIGTERM"]
    assert FAILED not in pod.said()


@both(startup=LISTENS, pre_stop=https("/bye", ("Authorization", "secret"), ("X", "1")))
def test_prestop_https_to_plain(pod: Played) -> None:
    """HTTPS that meets a plain server is tried again in plain, without Authorization."""
    assert delete(pod) == 0
    headers = pod.record("request")[-1]["headers"]
    assert headers["X"] == "1"
    assert "Authorization" not in headers


@both(pre_stop=get("/"), env={"LISTEN_AFTER": "60"}, grace_period=2)
def test_prestop_http_to_nobody(pod: Played) -> None:
    """Only a transport error is a failure; the end comes all the same."""
    assert delete(pod) == 137  # no handler yet, and PID 1
    assert FAILED in pod.said()


@both(startup=LISTENS, pre_stop=python("raise SystemExit(3)"))
def test_prestop_exec_that_fails(pod: Played) -> None:
    """An exit code other than 0 is an event, and SIGTERM comes all the same."""
    assert delete(pod) == 0
    assert FAILED in pod.said()
    assert seen(pod) == ["SIGTERM"]


@both(startup=LISTENS, pre_stop=Sleep(4))
def test_prestop_sleep(pod: Played) -> None:
    """A sleep holds SIGTERM back for as long as it says."""
    began = time.monotonic()
    assert delete(pod) == 0
    assert time.monotonic() - began >= 4
    assert seen(pod) == ["SIGTERM"]


@both(startup=LISTENS, pre_stop=Sleep(300), grace_period=300)
def test_sleep_is_cut_short_by_the_deletions_own_grace(pod: Played) -> None:
    """A deletion with less grace than the pod's ends a sleep of 300 s in its own time."""
    pod.until(pod.started, "it listens")
    pod.delete(grace=3)
    assert pod.gone() == 0
    assert seen(pod) == ["SIGTERM"]


@both(startup=LISTENS, pre_stop=Sleep(8), grace_period=30)
def test_a_second_deletion_changes_nothing(pod: Played) -> None:
    """What is being ended is ended with the grace it began with (Kubernetes 1.34)."""
    pod.until(pod.started, "it listens")
    began = time.monotonic()
    pod.delete()
    pod.until(lambda: "Killing" in dict(pod.said()), "it is being stopped")
    pod.delete(grace=1)
    assert pod.gone() == 0
    assert time.monotonic() - began >= 8


@both(startup=LISTENS, pre_stop=get("/slow/300"), grace_period=3)
def test_two_seconds_are_always_left(pod: Played) -> None:
    """A hook that eats the whole grace period is abandoned, and the app ends by SIGTERM."""
    assert delete(pod) == 0
    assert seen(pod) == ["/slow/300", "SIGTERM"]


@both(startup=LISTENS, env={"ON_SIGTERM": "ignore"}, grace_period=2)
def test_sigkill_after_the_grace_period(pod: Played) -> None:
    """What ignores SIGTERM is killed when the grace is over: 137."""
    assert delete(pod) == 137
    assert seen(pod) == ["SIGTERM"]


@both(startup=LISTENS, env={"ON_SIGTERM": "none"}, grace_period=2)
def test_pid_1_without_a_handler(pod: Played) -> None:
    """As PID 1, a process without a handler gets no SIGTERM."""
    assert delete(pod) == 137


@both(startup=LISTENS, pre_stop=asks("/exit", "time.sleep(300)"), grace_period=300)
def test_leaving_under_an_exec_prestop(pod: Played) -> None:
    """PID 1 that ends while the hook runs takes it along: an event FailedPreStopHook."""
    assert delete(pod) == 0
    assert FAILED in pod.said()
    assert seen(pod) == ["/exit"]


@both(
    startup=LISTENS,
    liveness=each_second(get("/unless/sick")),
    pre_stop=asks("/hook", "time.sleep(3)"),
    grace_period=5,
)
def test_deletion_during_a_liveness_restart(pod: Played) -> None:
    """A deletion waits for the restart that is under way, and ends the new container by its hook."""
    pod.until(lambda: pod.asked()["/unless/sick"], "liveness is asked")
    pod.touch("sick")
    pod.until(lambda: pod.asked()["/hook"], "it is being restarted")
    pod.delete()
    pod.until(pod.restarts, "it is restarted all the same")
    pod.gone()
    assert [message for reason, message in sorted(pod.said()) if reason == "Killing"] == [
        "Container app failed liveness probe, will be restarted",
        "Stopping container app",
    ]


@both(
    command=["python3", "-c", ""],
    restart_policy="Never",
    pre_stop=Sleep(300),
    grace_period=300,
)
def test_terminated_container_is_not_waited_for(pod: Played) -> None:
    """The hook of a container that has ended is not run."""
    pod.until(pod.finished, "it has ended")
    pod.delete()
    assert pod.gone() == 0
    assert not pod.said()
