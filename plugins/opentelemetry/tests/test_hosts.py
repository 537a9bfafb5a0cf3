"""The start and the drain as traces, and the last spans of the app, under each host."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from plugins.opentelemetry.tests.hosts import HOSTS, UNHURRIED, Host, run
from plugins.opentelemetry.tests.receiver import Receiver
from tests.process.kit import App

Start = Callable[..., App]

POD = {"POD_NAME": "orders-7d9-x", "POD_NAMESPACE": "shop", "NODE_NAME": "node-1"}


def end(app: App, host: Host, by: str) -> None:
    """End an app as the kubelet does: SIGTERM comes when preStop has been answered."""
    if by == "preStop":
        assert app.prestop().result(20)[0] == 200
    app.signal(signal.SIGTERM)
    assert app.wait() in host.codes, app.stderr


@pytest.mark.parametrize("by", ["SIGTERM", "preStop"])
@pytest.mark.parametrize("name", HOSTS)
def test_a_start_and_a_drain(
    name: str, by: str, start: Start, collector: Receiver, tmp_path: Path
) -> None:
    """With a span for each step, and the metrics at the end."""
    host = HOSTS[name]
    app = run(host, start, tmp_path, **UNHURRIED, **POD, **collector.env())
    began = collector.span("lifecycle start")
    end(app, host, by)

    drained = collector.span("lifecycle drain")
    assert began.attributes["pod_lifecycle.services"] == ["orders"]
    steps = [step.name for step in collector.children(began)]
    assert {*steps} & {"main", "lifespan", "command"}, steps
    assert began.events[-1] == "READY"
    assert drained.links == [began.span_id]
    assert drained.error == ""
    assert drained.attributes["process.exit.code"] == 0
    assert {"wait", "stop"} <= {step.name for step in collector.children(drained)}
    assert all(span.seconds >= 0 for span in collector.spans)
    for resource in (began.resource, drained.resource, *collector.resources):
        assert resource["service.name"] == "orders"
        assert resource["service.instance.id"] == "shop.orders-7d9-x"
        assert resource["k8s.node.name"] == "node-1"

    assert collector.value("state", state="draining") == 1
    assert collector.value("registered", registry="local", service="orders") == 0
    assert collector.value("registration_seconds", registry="local")[0] >= 1
    if host.serves:
        assert collector.value("requests_total") >= 1
    assert (collector.value("workers") is not None) == host.is_command
    assert not app.events("opentelemetry"), app.stderr
    assert "Traceback" not in app.stderr


@pytest.mark.parametrize("by", ["SIGTERM", "preStop"])
@pytest.mark.parametrize("name", [name for name in HOSTS if not HOSTS[name].is_command])
def test_the_last_spans_of_the_app(
    name: str, by: str, start: Start, collector: Receiver, tmp_path: Path
) -> None:
    """They are sent through the app's own provider, as are the start and the drain."""
    host = HOSTS[name]
    app = run(host, start, tmp_path, **UNHURRIED, OWN_PROVIDER="1", **collector.env())
    end(app, host, by)

    found = collector.names()
    assert "last words" in found, (found, app.stderr)
    assert found.count("lifecycle start") == found.count("lifecycle drain") == 1
    assert found.count("a request") == int(host.serves)
    name = collector.span("lifecycle drain").resource["service.name"]
    assert name.startswith("unknown_service")  # the resource is that of the app
    assert not app.events("opentelemetry"), app.stderr


WORKERS = [
    ("gunicorn", {}, {"a request"}),
    ("gunicorn, Django", {}, {"a request"}),
    ("granian", {"SHUT_DOWN": "1"}, {"a request", "last words"}),
    ("granian", {}, set()),
    ("uvicorn", {"SHUT_DOWN": "1"}, {"a request", "last words"}),
    ("uvicorn, 2 workers", {"SHUT_DOWN": "1"}, {"a request", "last words"}),
    ("uvicorn", {}, set()),
    ("uvicorn, 2 workers", {}, set()),
]


@pytest.mark.parametrize(("name", "env", "sent"), WORKERS)
def test_the_last_spans_of_workers(
    name: str,
    env: dict[str, str],
    sent: set[str],
    start: Start,
    collector: Receiver,
    tmp_path: Path,
) -> None:
    """
    Their servers must end them so that the SDK can send what is left.

    uvicorn ends itself by the signal, before the SDK's exit handler is called. Nor is it called in
    a worker of granian. So the app has to shut its provider down, in the lifespan.
    """
    host = HOSTS[name]
    app = run(host, start, tmp_path, **UNHURRIED, OWN_PROVIDER="1", **env, **collector.env())
    end(app, host, "preStop")
    assert {"a request", "last words"} & {*collector.names()} == sent
    assert {"lifecycle start", "lifecycle drain"} <= {*collector.names()}
