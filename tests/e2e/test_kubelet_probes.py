"""
Kubernetes' e2e cases "Probing container", on the real kubelet and on ours.

Not among them: readiness that is probed at once when startup passes. The real kubelet asks, and
loses the answer if it comes before its own status of the container; ours always keeps it.
"""

from __future__ import annotations

from typing import Any

from lifecycle.testing import Exec, HttpGet, Probe, TcpSocket
from tests.e2e.two_kubelets import Played, both
from tests.e2e.two_kubelets import pods as pods


def get(path: str) -> HttpGet:
    return HttpGet("http", path)


def each_second(handler: Any, **fields: Any) -> Probe:
    return Probe(handler, **{"period": 1, "timeout": 5, "failure_threshold": 1, **fields})


def python(script: str) -> Exec:
    return Exec(["python3", "-c", script])


LISTENS = each_second(get("/started"), failure_threshold=60)
CAT = python("open('health')")


def liveness_failed(pod: Played) -> bool:
    return ("Killing", "Container app failed liveness probe, will be restarted") in pod.said()


@both(readiness=each_second(get("/"), initial_delay=20))
def test_readiness_waits_for_the_initial_delay(pod: Played) -> None:
    """A pod is not ready before its initial delay; nothing restarts it."""
    pod.until(pod.ready, "it is ready")
    (began,), first = pod.record("listening"), pod.record("request")[0]
    assert first["at"] - began["at"] > 5  # of 20: a busy machine takes a while to listen
    assert pod.restarts() == 0


@both(readiness=each_second(get("/status/500")))
def test_failing_readiness_never_restarts(pod: Played) -> None:
    """A readiness probe that fails makes a pod never ready and restarts nothing."""
    pod.until(lambda: pod.asked()["/status/500"] >= 6, "it is asked")
    assert not pod.ready()
    assert pod.restarts() == 0


@both(
    startup=LISTENS,
    liveness=each_second(get("/unless/sick"), failure_threshold=2),
    readiness=each_second(get("/ready")),
    pre_stop=python("import os; os.remove('sick')"),
)
def test_healthz_that_fails_restarts_once(pod: Played) -> None:
    """A /healthz that fails restarts the container, preStop first; its successor is well."""
    pod.until(pod.ready, "it is ready")
    pod.touch("sick")
    pod.until(lambda: pod.restarts() and pod.ready(), "it is restarted and ready")
    before = pod.asked()["/unless/sick"]
    pod.until(lambda: pod.asked()["/unless/sick"] >= before + 4, "the successor is asked")
    assert pod.restarts() == 1
    assert liveness_failed(pod)


@both(startup=LISTENS, liveness=each_second(CAT, period=2))
def test_exec_liveness_that_fails_restarts(pod: Played) -> None:
    """A liveness command that fails restarts the container."""
    pod.until(pod.restarts, "it is restarted")
    assert liveness_failed(pod)


@both(startup=LISTENS, liveness=each_second(get("/")), readiness=each_second(python(""), period=3))
def test_probes_that_succeed_restart_nothing(pod: Played) -> None:
    """A healthy container is left alone, by HTTP and by exec."""
    pod.until(lambda: pod.asked()["/"] >= 5, "it is asked")
    pod.until(pod.ready, "it is ready")
    assert pod.restarts() == 0


@both(
    startup=LISTENS,
    liveness=each_second(TcpSocket("http")),
    readiness=each_second(get("/status/500")),
)
def test_tcp_liveness_looks_at_the_port_alone(pod: Played) -> None:
    """With the port open nothing is restarted though HTTP fails."""
    pod.until(lambda: pod.asked()["/status/500"] >= 5, "it is asked")
    assert pod.restarts() == 0


@both(liveness=each_second(TcpSocket("http")), env={"HOST": "127.0.0.2"})
def test_tcp_liveness_of_a_closed_port_restarts(pod: Played) -> None:
    """An app that does not listen on the pod's address is restarted."""
    pod.until(pod.restarts, "it is restarted")
    assert liveness_failed(pod)


@both(startup=LISTENS, liveness=each_second(get("/healthy-for/2")))
def test_restart_count_only_grows(pod: Played) -> None:
    """Who gets sick again and again is restarted each time, and the count never falls."""
    counts = []

    def grown() -> bool:
        counts.append(pod.restarts())
        return counts[-1] >= 2

    pod.until(grown, "it is restarted twice")
    assert sorted(counts) == counts


@both(startup=LISTENS, liveness=each_second(python("input()"), period=2, timeout=1))
def test_exec_liveness_timeout_is_a_failure(pod: Played) -> None:
    """A liveness command that does not end in time has failed: a restart."""
    pod.until(pod.restarts, "it is restarted")
    assert liveness_failed(pod)


SLEEP = python("import time; time.sleep(60)")


@both(startup=LISTENS, readiness=each_second(SLEEP, period=3, timeout=1))
def test_exec_readiness_timeout_is_a_failure(pod: Played) -> None:
    """A readiness command that does not end in time has failed: not ready."""
    pod.until(pod.said, "it is said")
    assert not pod.ready()
    assert pod.restarts() == 0


@both(startup=LISTENS, liveness=each_second(get("/redirect?to=/status/500"), failure_threshold=4))
def test_local_redirect_is_followed(pod: Played) -> None:
    """A liveness probe redirected to a failing path of the same host restarts."""
    pod.until(lambda: pod.asked()["/status/500"], "it is followed")
    pod.until(pod.restarts, "it is restarted")


@both(startup=LISTENS, liveness=each_second(get("/redirect?to=http://0.0.0.0/")))
def test_redirect_to_another_host_warns(pod: Played) -> None:
    """A liveness probe redirected elsewhere passes, with an event ProbeWarning."""
    pod.until(lambda: pod.asked()["/redirect"] >= 4, "it is asked")
    pod.until(lambda: "ProbeWarning" in dict(pod.said()), "it is told")
    assert pod.restarts() == 0


@both(startup=each_second(CAT, period=2, failure_threshold=2))
def test_startup_that_fails_restarts(pod: Played) -> None:
    """A startup probe that never passes restarts the container."""
    pod.until(pod.restarts, "it is restarted")
    assert ("Killing", "Container app failed startup probe, will be restarted") in pod.said()


@both(
    startup=each_second(get("/ready-after/6"), failure_threshold=60),
    liveness=each_second(get("/status/500"), failure_threshold=4),
)
def test_startup_holds_a_failing_liveness_back(pod: Played) -> None:
    """Until startup has passed, a liveness probe that would fail is not carried out; then it is."""
    pod.until(lambda: pod.asked()["/status/500"], "liveness is asked")
    asked = [each["path"] for each in pod.record("request")]
    before = asked[: asked.index("/status/500")]
    assert set(before) == {"/ready-after/6"}
    assert len(before) >= 4
    pod.until(pod.restarts, "it is restarted")


@both(
    startup=LISTENS,
    liveness=each_second(get("/healthy-for/1"), termination_grace_period=3),
    env={"ON_SIGTERM": "ignore"},
    grace_period=500,
)
def test_own_grace_period_of_a_liveness_probe(pod: Played) -> None:
    """terminationGracePeriodSeconds of the probe counts, not the pod's 500 s."""
    pod.until(pod.restarts, "it is restarted")


@both(
    startup=each_second(CAT, period=2, termination_grace_period=3),
    env={"ON_SIGTERM": "ignore"},
    grace_period=500,
)
def test_own_grace_period_of_a_startup_probe(pod: Played) -> None:
    """terminationGracePeriodSeconds of the probe counts, not the pod's 500 s."""
    pod.until(pod.restarts, "it is restarted")


@both(
    startup=LISTENS,
    readiness=each_second(get("/unless/closed")),
    liveness=each_second(get("/unless/closed/live")),
    pre_stop=python("import time; open('closed', 'w'); time.sleep(6)"),
)
def test_readiness_turns_false_while_terminating(pod: Played) -> None:
    """While a pod terminates readiness is probed on; liveness is not, and restarts nothing."""
    pod.until(pod.ready, "it is ready")
    pod.until(lambda: pod.asked()["/unless/closed/live"], "liveness is asked")
    pod.delete()
    pod.until(lambda: not pod.ready(), "it is not ready")
    assert pod.gone() == 0
    assert ("Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503") in (
        pod.said()
    )
    assert "Liveness" not in str(pod.said())
