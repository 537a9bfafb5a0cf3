"""The pods of `ls`, and what other objects say about them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from lifecycle_fleet.view.listing import Listing

from plugins.fleet.tests.objects import hook_failed, pod, told

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
