"""A watch that never ends, whatever the API server and the credentials do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from lifecycle_fleet.cluster.api import Api
from lifecycle_fleet.cluster.follow import FIRST, LONGEST, SHORT, Followed, pause
from lifecycle_fleet.cluster.kinds import POD
from lifecycle_fleet.cluster.kubeconfig import load

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


def test_a_credential_plugin_that_fails_for_a_while(api: ApiServer, tmp_path: Path) -> None:
    """As without a network. The problem is said, and the watch goes on with the next token."""
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
