"""A fake API server for each test, and a kubeconfig for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from plugins.fleet.tests.api_server import ApiServer, make_certificate


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
