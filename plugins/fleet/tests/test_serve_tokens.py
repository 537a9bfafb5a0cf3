"""Who may read: the API server decides, and is not flooded."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from lifecycle_fleet.cluster.api import connected
from lifecycle_fleet.serve import access as module
from lifecycle_fleet.serve.access import AWAY, BUSY, FORBIDDEN, GRANTED, NO_TOKEN, UNKNOWN, Access

from plugins.fleet.tests.api_server import LATEST, ApiServer

Object = dict[str, Any]
USER: Object = {
    "username": "ada",
    "uid": "7",
    "groups": ["team"],
    "extra": {"scopes": ["read"]},
}


class Guard:
    """
    An `Access`, with what it asks and says.

    Attributes:
        access: The access.
        time: The time of its clock.
        asked: Kind and spec of each review.
        said: The problems that it has told.
        known: The users, by token. A user without `allowed` may not list pods.
    """

    def __init__(self, api: ApiServer, kubeconfig: Path, namespace: str = "shop") -> None:
        self.time = 0.0
        self.asked: list[tuple[str, Object]] = []
        self.said: list[str] = []
        self.known: dict[str, Object] = {"good": USER}
        self.allowed = {"ada"}
        self._api, self._kubeconfig, self._namespace = api, kubeconfig, namespace
        api.review = self._review

    def _review(self, kind: str, spec: Object) -> Object:
        self.asked.append((kind, spec))
        if kind == "TokenReview":
            user = self.known.get(spec["token"])
            return {"authenticated": user is not None} | ({"user": user} if user else {})
        return {"allowed": spec["user"] in self.allowed}

    def play(self, scenario: Callable[[Access], Awaitable[None]]) -> None:
        """Run a scenario."""

        async def run() -> None:
            async with asyncio.timeout(LATEST), connected(str(self._kubeconfig), "") as client:
                await scenario(Access(client, self._namespace, lambda: self.time, self.said.append))

        asyncio.run(run())


@pytest.fixture
def guard(api: ApiServer, kubeconfig: Path) -> Guard:
    """One."""
    return Guard(api, kubeconfig)


def test_a_user_who_may_list_the_pods(guard: Guard) -> None:
    """The whole identity goes from the one review into the other."""

    async def scenario(access: Access) -> None:
        assert await access.check("Bearer good") == GRANTED
        assert await access.check("bearer  good ") == GRANTED

    guard.play(scenario)
    wanted = {"verb": "list", "resource": "pods", "namespace": "shop"}
    who = {"user": "ada", "uid": "7", "groups": ["team"], "extra": {"scopes": ["read"]}}
    assert guard.asked == [
        ("TokenReview", {"token": "good"}),
        ("SubjectAccessReview", {"resourceAttributes": wanted, **who}),
    ]


def test_all_namespaces_need_the_right_for_all(api: ApiServer, kubeconfig: Path) -> None:
    """An empty namespace of the review means all."""
    guard = Guard(api, kubeconfig, "")

    async def scenario(access: Access) -> None:
        await access.check("Bearer good")

    guard.play(scenario)
    assert guard.asked[1][1]["resourceAttributes"]["namespace"] == ""


@pytest.mark.parametrize(
    "given", ["", "good", "Basic Z29vZA==", "Bearer", "Bearer ", "Bearer " + "x" * 20_000]
)
def test_no_token(guard: Guard, given: str) -> None:
    """The API server is not even asked."""

    async def scenario(access: Access) -> None:
        assert await access.check(given) == NO_TOKEN

    guard.play(scenario)
    assert guard.asked == []


def test_who_is_refused(guard: Guard) -> None:
    """A token that nobody knows, and a user without the right."""
    guard.known["other"] = {"username": "bob"}

    async def scenario(access: Access) -> None:
        assert await access.check("Bearer wrong") == UNKNOWN
        assert await access.check("Bearer other") == FORBIDDEN
        assert access.reviewed == {401: 1, 403: 1}

    guard.play(scenario)


def test_an_answer_is_kept_for_a_short_time(guard: Guard) -> None:
    """So a right that is taken away, or given, counts soon."""

    async def scenario(access: Access) -> None:
        assert await access.check("Bearer good") == GRANTED
        guard.allowed.clear()
        guard.time = 29.0
        assert await access.check("Bearer good") == GRANTED
        guard.time = 30.0
        assert await access.check("Bearer good") == FORBIDDEN
        guard.allowed.add("ada")
        guard.time = 41.0
        assert await access.check("Bearer good") == GRANTED

    guard.play(scenario)
    assert len(guard.asked) == 6


def test_many_requests_with_one_token_are_one_review(api: ApiServer, guard: Guard) -> None:
    """Also if they come while it runs, and if the first one gives up."""
    api.delay = 0.1

    async def scenario(access: Access) -> None:
        first = asyncio.create_task(access.check("Bearer good"))
        others = [asyncio.create_task(access.check("Bearer good")) for _ in range(50)]
        await asyncio.sleep(0)
        first.cancel()
        assert await asyncio.gather(*others) == [GRANTED] * 50

    guard.play(scenario)
    assert len(guard.asked) == 2


def test_a_flood_of_unknown_tokens(api: ApiServer, guard: Guard) -> None:
    """Only a few are reviewed at a time, and the others are told to try again."""
    api.delay = 0.1

    async def scenario(access: Access) -> None:
        answers = await asyncio.gather(*(access.check(f"Bearer {n}") for n in range(100)))
        assert answers.count(UNKNOWN) == module.AT_ONCE
        assert answers.count(BUSY) == 100 - module.AT_ONCE

    guard.play(scenario)
    assert len(guard.asked) == module.AT_ONCE


def test_a_flood_does_not_keep_readers_out(
    api: ApiServer, guard: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token that was granted is neither forgotten for the sake of strangers, nor waits for them."""
    monkeypatch.setattr(module, "MOST", 5)

    async def scenario(access: Access) -> None:
        assert await access.check("Bearer good") == GRANTED
        for number in range(20):
            await access.check(f"Bearer {number}")
        reviews = len(guard.asked)
        assert await access.check("Bearer good") == GRANTED
        assert len(guard.asked) == reviews
        guard.time = 31.0
        api.delay = 0.1
        flood = [asyncio.create_task(access.check(f"Bearer x{n}")) for n in range(50)]
        await asyncio.sleep(0)
        assert await access.check("Bearer good") == GRANTED
        await asyncio.gather(*flood)

    guard.play(scenario)


def test_a_token_that_is_not_granted_any_more_is_a_strangers(api: ApiServer, guard: Guard) -> None:
    """It waits like any other one, and is refused by its last answer."""

    async def scenario(access: Access) -> None:
        assert await access.check("Bearer good") == GRANTED
        guard.allowed.clear()
        guard.time = 31.0
        assert await access.check("Bearer good") == FORBIDDEN
        assert await access.check("Bearer good") == FORBIDDEN
        guard.time = 50.0
        api.delay = 0.1
        flood = [asyncio.create_task(access.check(f"Bearer x{n}")) for n in range(50)]
        await asyncio.sleep(0)
        assert await access.check("Bearer good") == BUSY
        await asyncio.gather(*flood)

    guard.play(scenario)


def test_answers_do_not_fill_the_memory(guard: Guard, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest are forgotten, and no token is kept in any form that can be read."""
    monkeypatch.setattr(module, "MOST", 5)

    async def scenario(access: Access) -> None:
        for number in range(20):
            await access.check(f"Bearer secret-{number}")
        assert len(access._refused) == 5
        assert "secret" not in repr(vars(access))

    guard.play(scenario)


def test_an_api_server_that_does_not_review(api: ApiServer, guard: Guard) -> None:
    """Nobody gets in, nothing is kept, and the reason is told once."""
    api.forced["create"] = 403

    async def scenario(access: Access) -> None:
        for _ in range(3):
            assert await access.check("Bearer good") == AWAY
        api.forced.clear()
        assert await access.check("Bearer good") == GRANTED

    guard.play(scenario)
    assert len(guard.said) == 2
    assert "forbidden" in guard.said[0]
    assert guard.said[1] == ""


def test_credentials_of_the_server_that_fail(api: ApiServer, tmp_path: Path) -> None:
    """As a credential plugin without a network. It is as if the API server were away."""
    user = {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "/bin/false"}}
    guard = Guard(api, api.kubeconfig(tmp_path, **user))

    async def scenario(access: Access) -> None:
        assert await access.check("Bearer good") == AWAY

    guard.play(scenario)
    assert "exit code 1" in guard.said[0]


@pytest.mark.parametrize("status", [{}, {"authenticated": "yes"}, {"authenticated": None}])
def test_an_answer_that_says_nothing(api: ApiServer, guard: Guard, status: Object) -> None:
    """Only a clear yes is one."""
    api.review = lambda _kind, _spec: status

    async def scenario(access: Access) -> None:
        assert await access.check("Bearer good") == UNKNOWN

    guard.play(scenario)


@pytest.mark.parametrize("allowed", [{}, {"allowed": "true"}, {"allowed": 1}, {"denied": False}])
def test_a_right_that_is_not_granted_clearly(api: ApiServer, guard: Guard, allowed: Object) -> None:
    """Likewise."""
    api.review = lambda kind, _spec: (
        {"authenticated": True, "user": USER} if kind == "TokenReview" else allowed
    )

    async def scenario(access: Access) -> None:
        assert await access.check("Bearer good") == FORBIDDEN

    guard.play(scenario)
