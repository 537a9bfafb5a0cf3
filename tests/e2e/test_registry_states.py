"""What a real API server answers to the registry has the name that the registry says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from lifecycle_kubernetes.api import ApiServer, Silence
from lifecycle_kubernetes.errors import ApiServerError
from lifecycle_kubernetes.layout import is_annotated, is_set, patch
from lifecycle_kubernetes.place import Place
from lightkube import KubeConfig
from lightkube.resources.core_v1 import Pod

import lifecycle
from tests.cluster.fixtures import Target
from tests.e2e import accounts, manifests, registering
from tests.e2e.kit import Space

LATEST = 60.0
ORDERS = lifecycle.Instance("orders", "10.0.0.1", 8080, "x")
HUGE = lifecycle.Instance("orders", "10.0.0.1", 8080, "x", metadata={"x": "y" * 300_000})


class Asked:
    """A pod that never runs, and the API server as its registry asks it."""

    def __init__(self, space: Space, path: Path) -> None:
        self._space = space
        self._path = path
        for account in ("orders", "nobody"):
            metadata = {"name": account}
            space.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
        registering.allow(space, "orders")
        pod = manifests.pod("orders", space.image, ["python3"])
        pod["spec"]["nodeSelector"] = {"nowhere": "nowhere"}
        self.uid = space.create(pod).metadata.uid

    def api(
        self,
        *,
        account: str = "orders",
        token: str = "",
        pod: str = "orders",
        idle: float = LATEST,
    ) -> ApiServer:
        """Return it, for an account, or for a token."""
        token = token or accounts.token(self._space, f"{account}-token", account)
        folder = accounts.folder(self._space, self._path / account, token)
        return ApiServer(Place(pod, self._space.name, folder), idle)


@pytest.fixture
def asked(space: Space, target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Asked:
    server = KubeConfig.from_file(target.kubeconfig).get().cluster.server
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", str(urlsplit(server).hostname))
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(urlsplit(server).port or 443))
    return Asked(space, tmp_path)


def told(api: ApiServer, ask: Callable[[ApiServer], Coroutine[Any, Any, object]]) -> str:
    """Ask, and return the name of the failure; again, where a busy machine is only slow."""

    async def work() -> str:
        async with asyncio.timeout(LATEST), api:
            while True:
                try:
                    answer = await ask(api)
                except ApiServerError as error:
                    print(error)
                    if error.state != "slow":
                        return error.state
                else:
                    return f"no failure: {answer}"

    return asyncio.run(work())


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("who", "ask", "state"),
    [
        ({"token": "nonsense"}, lambda api, _: api.get(), "unauthorized"),
        ({"account": "nobody"}, lambda api, _: api.get(), "forbidden"),
        (
            {"account": "nobody"},
            lambda api, uid: api.patch_status(patch(uid, [ORDERS], 0)),
            "forbidden",
        ),
        ({"account": "nobody"}, lambda api, _: api.list_slices("orders"), "forbidden"),
        ({"pod": "another"}, lambda api, _: api.get(), "not found"),
        ({}, lambda api, _: api.patch_status(patch("another", [ORDERS], 0)), "invalid"),
        ({}, lambda api, uid: api.patch_status(patch(uid, [HUGE], 0)), "invalid"),
        ({}, lambda api, _: api.patch_status({"metadata": {"resourceVersion": "1"}}), "conflict"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_failure_has_its_name(asked: Asked, who: dict[str, str], ask: Any, state: str) -> None:
    """Each status that can come is one of the states in the plugin's README."""
    assert told(asked.api(**who), lambda api: ask(api, asked.uid)) == state


@pytest.mark.timeout(120)
def test_one_patch_sets_both_and_a_silent_watch_ends(asked: Asked, space: Space) -> None:
    """With the Role's rights condition and annotation come and go, and silence has its deadline."""

    async def work() -> None:
        async with asyncio.timeout(LATEST), asked.api(idle=1) as api:
            pod = await api.patch_status(patch(asked.uid, [ORDERS], 0))
            assert is_set(pod)
            assert is_annotated(pod)
            with pytest.raises(Silence):
                await anext(api.watch_pod(pod["metadata"]["resourceVersion"]))
            pod = await api.patch_status(patch(asked.uid, (), 0))
            assert not is_set(pod)
            assert not is_annotated(pod)

    asyncio.run(work())
    assert space.client.get(Pod, "orders").metadata
