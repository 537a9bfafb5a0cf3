"""Which pods clients find, and which Services would lose their last pod."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifecycle_fleet.view.endpoints import Endpoints
from lifecycle_fleet.view.traffic import stays_in_traffic, without_pods

from plugins.fleet.tests.objects import piece, pod, told

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


NOTHING: dict[str, bool] = {}
READY = {"ready": True, "serving": True, "terminating": False}
CONDITIONS = [
    (READY, "yes"),
    ({"ready": False, "serving": False, "terminating": False}, "no"),
    ({"ready": False, "serving": True, "terminating": True}, "no"),
    # A Service with publishNotReadyAddresses
    (READY | {"serving": False}, "no"),
    (READY | {"terminating": True}, "no"),
    # Slices of other programs, which need not have every condition
    (NOTHING, "yes"),
    ({"ready": True}, "yes"),
    ({"ready": False}, "no"),
]


@pytest.mark.parametrize(("conditions", "found"), CONDITIONS)
def test_an_endpoint_counts_if_it_is_ready_itself(conditions: dict[str, bool], found: str) -> None:
    """Some Services have `ready: true` for every pod, so that the pods find each other early."""
    slices = piece({"a": True})
    slices["endpoints"][0]["conditions"] = conditions

    assert Endpoints([slices]).of("shop", "a") == found
    assert bool(without_pods([slices], {"a"}, set())) == (found == "yes")
    both = [slices, piece({"b": True})]
    assert bool(without_pods(both, {"b"}, set())) == (found == "no")


def test_a_pod_of_two_services_is_found_by_the_one_in_which_it_is_ready() -> None:
    """A StatefulSet often has a headless Service for its own pods, and one for its clients."""
    headless, clients = piece({"a": True}, service="peers"), piece({"a": True})
    headless["endpoints"][0]["conditions"] = READY | {"serving": False}

    assert Endpoints([headless, clients]).of("shop", "a") == "yes"
    assert Endpoints([headless, piece({"a": False})]).of("shop", "a") == "no"


@pytest.mark.parametrize(
    ("online", "stays"),
    [
        (["orders"], False),
        (["orders", "admin"], True),
        (["orders", "…"], False),
        (["orders", "admin", "…"], True),
        (["orders" * 30 + "…"], False),
    ],
)
def test_a_pod_stays_only_by_a_service_that_is_known(online: list[str], *, stays: bool) -> None:
    """An annotation does not name more than 100, and cuts a long name."""
    assert stays_in_traffic(pod(annotation=told(online=online)), "*orders") == stays
