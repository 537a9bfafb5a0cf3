"""The real collector of OpenTelemetry: it takes everything, over gRPC and HTTP."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from plugins.opentelemetry.tests.hosts import HOSTS, UNHURRIED, run
from plugins.opentelemetry.tests.real_collector import LONGEST, built, real_collector
from tests.process.kit import App

pytestmark = pytest.mark.timeout(LONGEST)


@pytest.fixture(scope="module", autouse=True)
def program() -> Path:
    """The collector, which is built once."""
    return built()


@pytest.mark.parametrize("by", ["SIGTERM", "preStop"])
@pytest.mark.parametrize("protocol", ["grpc", "http"])
@pytest.mark.parametrize("name", ["run --asgi", "gunicorn"])
def test_both_traces_and_all_metrics_arrive(
    name: str, protocol: str, by: str, start: Callable[..., App], tmp_path: Path
) -> None:
    """As the exporters of the SDK send them."""
    with real_collector(tmp_path) as collector:
        app = run(HOSTS[name], start, tmp_path, **UNHURRIED, **collector.env(protocol))
        if by == "preStop":
            assert app.prestop().result(20)[0] == 200
        app.signal(signal.SIGTERM)
        assert app.wait() == 0, app.stderr
        began, drained = collector.span("lifecycle start"), collector.span("lifecycle drain")
        assert drained.links == [began.span_id]
        assert {"wait", "stop"} <= {step.name for step in collector.children(drained)}
        assert collector.value("requests_total") >= 1
        assert collector.value("registration_seconds", registry="local")[0] >= 1
        assert collector.kinds["pod_lifecycle_registration_seconds"] == "histogram"
        assert not app.events("opentelemetry"), app.stderr


def test_the_apps_own_spans_arrive(start: Callable[..., App], tmp_path: Path) -> None:
    """Its last ones too."""
    with real_collector(tmp_path) as collector:
        env = collector.env(OWN_PROVIDER="1")
        app = run(HOSTS["run --asgi"], start, tmp_path, **UNHURRIED, **env)
        app.stop()
        assert {"a request", "last words", "lifecycle drain"} <= {*collector.names()}
