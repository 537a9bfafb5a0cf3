"""A fake API server for each test, and a kubeconfig for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from lifecycle_fleet import kubectl

from plugins.fleet.tests.api_server import ApiServer, make_certificate
from plugins.fleet.tests.rollout_cluster import Cluster
from plugins.fleet.tests.rollout_objects import NAMESPACE
from plugins.fleet.tests.rollout_running import Start
from plugins.fleet.tests.why_objects import NOW

if TYPE_CHECKING:
    from plugins.fleet.tests.serving import Served
    from tests.page.browser import Tab


@pytest.fixture
def api() -> Iterator[ApiServer]:
    """An API server over plain HTTP."""
    with ApiServer() as server:
        yield server


@pytest.fixture
def kubeconfig(api: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A kubeconfig of the API server with the namespace `shop`, which is the one of KUBECONFIG."""
    path = api.kubeconfig(tmp_path, namespace="shop")
    monkeypatch.setenv("KUBECONFIG", str(path))
    return path


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a certificate, and its key."""
    return make_certificate(tmp_path_factory.mktemp("pki"))


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


@pytest.fixture
def why(
    kubeconfig: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str, str]]:
    """
    Run `kubectl lifecycle why`, and return its exit code, stdout and stderr.

    The terminal has 80 columns and no colours, and it is the time of the objects.
    """
    monkeypatch.setenv("COLUMNS", "80")
    for name in ("FORCE_COLOR", "NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("time.time", lambda: NOW)

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["kubectl-lifecycle", "why", *words])
        with pytest.raises(SystemExit) as ended:
            kubectl.main()
        written = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, written.out, written.err

    return run


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    """One browser for all tests."""
    from tests.page.browser import (
        chromium,  # which needs a package that the tests of wheels do not have
    )

    with chromium(tmp_path_factory.mktemp("profile")) as tab:
        yield tab


@pytest.fixture
def tab(browser: Tab) -> Iterator[Tab]:
    """Its tab. At the end, the page must have been silent."""
    browser.look()
    browser.open("about:blank")
    yield browser
    assert browser.complaints() == []


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with ten pods, each one different, for tests that change nothing."""
    from plugins.fleet.tests.page_scenes import end_badly, mixed
    from plugins.fleet.tests.serving import served

    with ApiServer() as api:
        mixed(api)
        with served(api, tmp_path_factory.mktemp("few"), "-A") as server:
            end_badly(api, server)
            yield server


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with 1,000 pods of 50 workloads."""
    from plugins.fleet.tests.page_scenes import end_badly, fill, mixed
    from plugins.fleet.tests.serving import served

    with ApiServer() as api:
        mixed(api)
        fill(api, 50, 20)
        with served(api, tmp_path_factory.mktemp("many"), "-A") as server:
            end_badly(api, server)
            yield server
