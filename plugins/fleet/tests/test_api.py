"""The requests to the API server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from lifecycle_fleet.cluster.api import Api, connected
from lifecycle_fleet.cluster.kinds import POD
from lifecycle_fleet.errors import ApiServerError

from plugins.fleet.tests.api_server import LATEST, ApiServer


def pod(name: str, **labels: str) -> dict[str, object]:
    metadata = {"namespace": "shop", "name": name, "labels": labels}
    return {"metadata": metadata, "spec": {"containers": [{"name": "app"}]}}


def play(kubeconfig: Path, scenario: Callable[[Api], Awaitable[None]]) -> None:
    async def connect() -> None:
        async with asyncio.timeout(LATEST * 2), connected(str(kubeconfig), "") as client:
            await scenario(client)

    asyncio.run(connect())


def test_a_list_is_read_to_its_last_page(api: ApiServer, kubeconfig: Path) -> None:
    """A list has every object, however small the pages are."""
    api.page = 2
    for number in range(5):
        api.put("pods", pod(f"orders-{number}"))

    async def scenario(client: Api) -> None:
        version, found = await client.list(POD, "shop")
        assert [each["metadata"]["name"] for each in found] == [f"orders-{n}" for n in range(5)]
        assert version == str(api.version)
        assert api.lists("pods") == 1

    play(kubeconfig, scenario)


def test_a_list_that_expires_begins_again(api: ApiServer, kubeconfig: Path) -> None:
    """The pages of one list are of one version. If it is forgotten meanwhile, all is listed anew."""
    api.page = 2
    for number in range(5):
        api.put("pods", pod(f"orders-{number}"))

    def keep(found: Any) -> Any:
        if found["metadata"]["name"] == "orders-1":
            api.page = 0
            api.expire()
            api.put("pods", pod("orders-9"))
        return found

    async def scenario(client: Api) -> None:
        _, found = await client.list(POD, "shop", keep=keep)
        names = [each["metadata"]["name"] for each in found]
        assert names == [f"orders-{n}" for n in (0, 1, 2, 3, 4, 9)]

    play(kubeconfig, scenario)


@pytest.mark.parametrize(
    ("labels", "fields", "names"),
    [
        ("app=a", "", ["one"]),
        ("app!=a", "", ["three", "two"]),
        ("app in (a, b)", "", ["one", "two"]),
        ("app notin (a,b)", "", ["three"]),
        ("!app", "", ["three"]),
        ("app", "metadata.name=two", ["two"]),
    ],
)
def test_selectors_select(
    api: ApiServer, kubeconfig: Path, labels: str, fields: str, names: list[str]
) -> None:
    """Selectors of labels and fields arrive at the server."""
    for thing in (pod("one", app="a"), pod("two", app="b"), pod("three")):
        api.put("pods", thing)

    async def scenario(client: Api) -> None:
        _, found = await client.list(POD, "shop", labels=labels, fields=fields)
        assert [each["metadata"]["name"] for each in found] == names

    play(kubeconfig, scenario)


def test_a_watch_tells_each_change_and_a_bookmark(api: ApiServer, kubeconfig: Path) -> None:
    """A watch from a version gets what came after it, and a bookmark at its end."""
    api.put("pods", pod("one"))

    async def scenario(client: Api) -> None:
        version, _ = await client.list(POD, "shop")
        api.put("pods", pod("two"))
        api.patch("pods", "shop", "one", {"metadata": {"labels": {"app": "x"}}})
        api.delete("pods", "shop", "two")
        seen = []
        async with aclosing(client.watch(POD, version, "shop")) as changes:
            async for kind, thing in changes:
                seen.append((kind, thing["metadata"].get("name")))
                if len(seen) == 3:
                    api.end_watches()
        assert seen == [
            ("ADDED", "two"),
            ("MODIFIED", "one"),
            ("DELETED", "two"),
            ("BOOKMARK", None),
        ]

    play(kubeconfig, scenario)


@pytest.mark.parametrize("letter", ["\x85", "\u2028", "\x0b", "ü"])
def test_a_text_with_an_odd_letter_does_not_end_a_watch(
    api: ApiServer, kubeconfig: Path, letter: str
) -> None:
    """Anyone who may annotate a pod could otherwise stop the view of all pods."""
    api.put("pods", pod("one"))
    version = str(api.version)
    odd = {"metadata": {"namespace": "shop", "name": "two", "annotations": {"a": f"b{letter}c"}}}
    api.put("pods", odd)

    async def scenario(client: Api) -> None:
        async with aclosing(client.watch(POD, version, "shop")) as changes:
            _, found = await anext(changes)
        assert found["metadata"]["annotations"] == {"a": f"b{letter}c"}

    play(kubeconfig, scenario)


def test_a_watch_of_an_old_version_has_expired(api: ApiServer, kubeconfig: Path) -> None:
    """A version that the server has forgotten is an error with its own name."""
    version = str(api.version)
    api.expire()

    async def scenario(client: Api) -> None:
        with pytest.raises(ApiServerError, match="expired: too old resource version"):
            async for _ in client.watch(POD, version, "shop"):
                pass

    play(kubeconfig, scenario)


def test_a_server_that_was_away_answers_again(api: ApiServer, kubeconfig: Path) -> None:
    """While the server is away a request is `unreachable`, and afterwards it is answered."""
    api.put("pods", pod("one"))

    async def scenario(client: Api) -> None:
        api.stop()
        with pytest.raises(ApiServerError, match="unreachable"):
            await client.list(POD, "shop")
        api.start()
        _, found = await client.list(POD, "shop")
        assert len(found) == 1

    play(kubeconfig, scenario)
