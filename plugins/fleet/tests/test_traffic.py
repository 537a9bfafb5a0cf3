"""Which pods clients find, and which Services would lose their last pod."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from lifecycle_fleet.view.endpoints import Endpoints
from lifecycle_fleet.view.traffic import without_pods

from plugins.fleet.tests.objects import piece

Pods = st.dictionaries(st.sampled_from("abcd"), st.booleans(), max_size=4)
Slices = st.lists(st.tuples(st.sampled_from(["x", "y"]), Pods), max_size=4)
Steps = st.lists(st.tuples(st.integers(0, 3), st.none() | Pods), max_size=12)


def expected(slices: list[dict[str, Any]], pod: str) -> str:
    found = [
        endpoint["conditions"]["ready"]
        for each in slices
        for endpoint in each["endpoints"]
        if endpoint["targetRef"]["name"] == pod
    ]
    return "-" if not found else "yes" if any(found) else "no"


@given(steps=Steps)
def test_endpoints_are_those_of_the_slices_that_are_there(
    steps: list[tuple[int, dict[str, bool] | None]],
) -> None:
    """In whatever order slices come, change and go, and each change names the pods it concerns."""
    endpoints, there = Endpoints(), dict[int, dict[str, Any]]()
    for number, pods in steps:
        before = {name: endpoints.of("shop", name) for name in "abcd"}
        if pods is None:
            concerned = endpoints.remove(piece({}, name=str(number)))
            there.pop(number, None)
        else:
            there[number] = piece(pods, name=str(number))
            concerned = endpoints.put(there[number])
        for name in "abcd":
            assert endpoints.of("shop", name) == expected([*there.values()], name)
            if endpoints.of("shop", name) != before[name]:
                assert ("shop", name) in concerned


def test_another_namespace_has_other_pods() -> None:
    """A pod of the same name elsewhere is not found because of this one."""
    assert Endpoints([piece({"a": True})]).of("zoo", "a") == "-"


@given(
    slices=Slices, taken=st.sets(st.sampled_from("abcd")), offline=st.sets(st.sampled_from("ab"))
)
def test_a_service_is_named_if_its_last_ready_pod_is_taken(
    slices: list[tuple[str, dict[str, bool]]], taken: set[str], offline: set[str]
) -> None:
    """Ready pods that are on their way out do not count, and a Service without ready pods neither."""
    pieces = [
        piece(pods, service=service, name=f"{service}-{number}")
        for number, (service, pods) in enumerate(slices)
    ]
    ready = {
        service: {name for each, pods in slices if each == service for name in pods if pods[name]}
        for service, _ in slices
    }

    lost = without_pods(pieces, taken, offline)

    assert lost == {
        service: sorted(pods & taken)
        for service, pods in ready.items()
        if pods & taken and not pods - taken - offline
    }


def test_an_endpoint_that_is_not_a_pod_counts() -> None:
    """A Service may have addresses outside of the cluster."""
    mixed = piece({"a": True})
    mixed["endpoints"].append({"addresses": ["192.0.2.1"], "conditions": {"ready": True}})

    assert without_pods([mixed], {"a"}, set()) == {}
