"""A watch that never ends, whatever the API server and the credentials do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from lifecycle_fleet.cluster.api import Api
from lifecycle_fleet.cluster.follow import FIRST, LASTING, LONGEST, SHORT, Followed, pause
from lifecycle_fleet.cluster.kinds import POD
from lifecycle_fleet.cluster.kubeconfig import load
from lifecycle_fleet.errors import ApiServerError

from plugins.fleet.tests.api_routes import status
from plugins.fleet.tests.api_server import LATEST, ApiServer
from plugins.fleet.tests.objects import pod
from plugins.fleet.tests.test_credential_plugin import plugin


def play(path: Path, scenario: Callable[[Followed], Awaitable[None]]) -> None:
    """Run a scenario with the pods of the namespace `shop`, which are followed meanwhile."""

    async def run() -> None:
        async with asyncio.timeout(LATEST * 2), Api(load(str(path), "", {})) as client:
            followed = Followed(client, POD, "shop")
            async with asyncio.TaskGroup() as tasks:
                running = tasks.create_task(followed.run())
                await followed.listed.wait()
                await scenario(followed)
                running.cancel()

    asyncio.run(run())


def test_watches_that_end_at_once_are_no_storm(api: ApiServer, kubeconfig: Path) -> None:
    """The pauses get longer, and each change is seen nevertheless."""
    api.short_watches, api.bookmarks = True, False
    began = 0.0

    async def scenario(followed: Followed) -> None:
        nonlocal began
        clock = asyncio.get_running_loop().time

        def asked() -> int:
            return sum(each.verb == "watch" for each in api.asked)

        await api.until(asked, "a first watch")
        began, first = clock(), asked()
        await api.until(lambda: asked() >= first + 4, "four more")
        assert clock() - began > sum(FIRST * 2**n for n in range(4)) / 2
        api.put("pods", pod("one"))
        await api.until(lambda: ("shop", "one") in followed.objects, "the change")
        assert api.lists("pods") == 1

    play(kubeconfig, scenario)


def test_the_pauses_have_limits() -> None:
    """A server that is back is noticed within a few seconds."""
    for failures in range(1, 50):
        assert FIRST / 2 <= pause(failures) <= LONGEST
    assert SHORT < LONGEST <= 5


def test_a_credential_plugin_that_fails_for_a_while(
    api: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As without a network. The problem is said, and the watch goes on with the next token."""
    monkeypatch.setattr("lifecycle_fleet.cluster.credential_plugin.FIRST_PAUSE", 0.2)
    token = tmp_path / "token"
    token.write_text("letmein")
    script = (
        f'test -s {token} || exit 1\nprintf \'{{"status": {{"token": "%s"}}}}\' "$(cat {token})"'
    )
    path = api.kubeconfig(tmp_path, **plugin(tmp_path, script))

    async def scenario(followed: Followed) -> None:
        await api.until(lambda: api.watches, "a watch")
        token.write_text("")
        api.token = "another"
        api.end_watches(reset=True)
        await api.until(lambda: "exit code 1" in followed.problem, "the problem is said")
        token.write_text("another")
        api.put("pods", pod("one"))
        await api.until(lambda: ("shop", "one") in followed.objects, "the change")
        assert not followed.problem
        assert api.lists("pods") == 1

    play(path, scenario)


class Time:
    """
    A time that goes by only while somebody sleeps.

    Attributes:
        now: The time, in seconds.
        slept: Each sleep, in seconds.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        """Let time go by."""
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


def follow(path: Path, time: Time, scenario: Callable[[Followed], Awaitable[None]]) -> None:
    """Run a scenario with pods that are followed in a time of their own."""

    async def run() -> None:
        async with asyncio.timeout(LATEST), Api(load(str(path), "", {})) as client:
            followed = Followed(client, POD, "shop", clock=lambda: time.now, sleep=time.sleep)
            running = asyncio.create_task(followed.run())
            await scenario(followed)
            running.cancel()
            await asyncio.wait({running})

    asyncio.run(run())


BOOKMARK: Any = ("BOOKMARK", {"metadata": {"resourceVersion": "7"}})
CHANGE: Any = ("MODIFIED", pod("one") | {"metadata": {"name": "one", "resourceVersion": "7"}})
GONE: Any = ("ERROR", status(410, "too old"))
FAILING: Any = ("ERROR", status(500, "etcd has no leader"))
MINUTE = 60.0
MOST = 6 + MINUTE / (LONGEST / 2)
"""Requests of a minute: six until the pause is the longest one, which jitter may halve."""


@pytest.mark.parametrize(
    "flawed",
    [
        [],
        [BOOKMARK],
        [CHANGE],
        [GONE],
        [CHANGE, GONE],
        [FAILING],
        [CHANGE, FAILING],
        [BOOKMARK, CHANGE, GONE],
    ],
    ids=lambda each: "-".join(kind for kind, _ in each) or "nothing",
)
def test_no_storm_whatever_a_watch_has(api: ApiServer, kubeconfig: Path, flawed: Any) -> None:
    """A watch that ends at once is asked for less and less often, and so is a list."""
    api.flawed, time = flawed, Time()

    async def scenario(_: Followed) -> None:
        await api.until(lambda: time.now >= MINUTE, "a minute")

    follow(kubeconfig, time, scenario)
    for verb in ("watch", "list"):
        assert sum(each.verb == verb for each in api.asked) <= MOST + 2
    assert max(time.slept) > LONGEST / 2


@pytest.mark.parametrize("code", [401, 429, 500, 503])
def test_no_storm_whatever_a_watch_is_answered(api: ApiServer, kubeconfig: Path, code: int) -> None:
    """The same for each refusal."""
    api.forced["watch"], time = code, Time()

    async def scenario(_: Followed) -> None:
        await api.until(lambda: time.now >= MINUTE, "a minute")

    follow(kubeconfig, time, scenario)
    assert MINUTE / LONGEST < sum(each.verb == "watch" for each in api.asked) <= MOST + 2
    assert api.lists("pods") == 1


@pytest.mark.parametrize(
    ("lasts", "forgotten"), [(LASTING, True), (LASTING - 1, False)], ids=["good", "short"]
)
def test_failures_are_forgotten_after_a_watch_that_lasted(
    api: ApiServer, kubeconfig: Path, *, lasts: float, forgotten: bool
) -> None:
    """A watch of a second may be one that works by chance."""
    api.forced["watch"], time = [500] * 4, Time()

    async def scenario(followed: Followed) -> None:
        await api.until(lambda: api.watches, "a watch")
        assert len(time.slept) == 4
        await api.until(lambda: not followed.problem, "it is accepted")
        time.now += lasts
        api.end_watches(reset=True)
        await api.until(lambda: len(time.slept) == 5, "a pause")
        assert (time.slept[4] <= FIRST) is forgotten

    follow(kubeconfig, time, scenario)


def test_a_first_watch_that_is_forbidden_ends_it(api: ApiServer, kubeconfig: Path) -> None:
    """The right to watch is another one than the right to list."""
    api.forced["watch"] = 403

    async def scenario() -> None:
        async with asyncio.timeout(LATEST), Api(load(str(kubeconfig), "", {})) as client:
            await Followed(client, POD, "shop").run()

    with pytest.raises(ApiServerError, match=r"forbidden: .* cannot watch"):
        asyncio.run(scenario())


def test_a_later_watch_that_is_forbidden_is_a_problem(api: ApiServer, kubeconfig: Path) -> None:
    """The role may be there again soon."""

    async def scenario(followed: Followed) -> None:
        await followed.begun.wait()
        api.forced["watch"] = 403
        api.end_watches(reset=True)
        await api.until(lambda: "forbidden" in followed.problem, "the problem is said")
        del api.forced["watch"]
        await api.until(lambda: not followed.problem, "it goes on")

    play(kubeconfig, scenario)
