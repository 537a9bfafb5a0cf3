"""The pods of `ls`, and what other objects say about them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifecycle_fleet.cluster.api import connected
from lifecycle_fleet.listing.command import once
from lifecycle_fleet.listing.watching import Watch
from lifecycle_fleet.view.listing import Listing
from lifecycle_fleet.view.pod import PodView

from plugins.fleet.tests.api_server import LATEST, ApiServer
from plugins.fleet.tests.objects import hook_failed, pod, told

LARGE = "x" * 10_000


def large(name: str) -> Any:
    """Return a pod with much that is not shown."""
    found = pod(name, annotation=told())
    found["metadata"]["managedFields"] = [{"manager": LARGE}]
    return found


@pytest.mark.parametrize("watch", [False, True])
def test_what_is_not_shown_takes_no_memory(
    api: ApiServer, kubeconfig: Path, *, watch: bool
) -> None:
    """A cluster may have thousands of pods, each with 10 kB or more."""
    api.put("pods", large("one"))
    listing = Listing()

    async def run() -> None:
        async with asyncio.timeout(LATEST), connected(str(kubeconfig), "") as client:
            if not watch:
                await once(client, listing, "shop", "")
                return
            watching = asyncio.create_task(Watch(client, listing, Silent(), "shop", "").run())
            await api.until(lambda: api.watches == 3, "all kinds are watched")
            api.put("pods", large("two"))
            await api.until(lambda: listing.pod(("shop", "two")), "the change")
            watching.cancel()
            await asyncio.wait({watching})

    asyncio.run(run())
    assert len(listing.pods()) == 1 + watch
    assert LARGE not in repr(vars(listing))


class Silent:
    """A printer that prints nothing."""

    printed = False

    def all(self, pods: Sequence[PodView]) -> None:
        """Print nothing."""

    def one(self, pod: PodView) -> None:
        """Print nothing."""


STEPS = st.lists(
    st.tuples(st.sampled_from(["put", "gone", "hook", "forgotten"]), st.sampled_from("abc"))
)


@given(STEPS)
def test_what_is_known_of_pods_that_are_gone_is_forgotten(steps: list[tuple[str, str]]) -> None:
    """Whatever comes first: at the end of each pod and each Event, nothing is left."""
    listing = Listing()
    act = {
        "put": lambda name: listing.put_pod(pod(name, annotation=told())),
        "gone": lambda name: listing.remove_pod(pod(name)),
        "hook": lambda name: listing.put_event(hook_failed(name)),
        "forgotten": lambda name: listing.remove_event(hook_failed(name)),
    }
    there: set[str] = set()
    for step, name in steps:
        act[step](name)
        there = there | {name} if step == "put" else there - {name} if step == "gone" else there
    assert {each.name for each in listing.pods()} == there
    for name in "abc":
        listing.remove_event(hook_failed(name))
    assert listing.hooks is not None
    assert {uid.removeprefix("uid-") for uid in listing.hooks} <= there
    for name in "abc":
        listing.remove_pod(pod(name))
    assert listing.hooks == {}


def test_a_hook_that_failed_is_known_as_long_as_its_pod() -> None:
    """Kubernetes forgets an Event after an hour."""
    listing = Listing()
    listing.put_event(hook_failed("a"))
    listing.put_pod(pod("a", annotation=told()))
    listing.remove_event(hook_failed("a"))

    found = listing.pod(("shop", "a"))
    assert found is not None
    assert found.hook_failed
