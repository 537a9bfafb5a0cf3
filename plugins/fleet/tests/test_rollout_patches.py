"""The changes of a Deployment, and what its objects say."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lifecycle_fleet.rollout import patches, workload

from plugins.fleet.tests.api_objects import merged
from plugins.fleet.tests.rollout_objects import T0, Object, deployment, done, replica_set, template

VALUES = st.recursive(
    st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    ),
    max_leaves=8,
)
MAPPINGS = st.dictionaries(st.sampled_from("abcd"), VALUES, max_size=4)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(old=MAPPINGS, new=MAPPINGS)
def test_a_merge_patch_makes_the_old_value_the_new_one(old: Any, new: Any) -> None:
    """Also where a field is gone."""
    assert merged(old, patches.merge(old, new)) == new


def test_a_restart_is_that_of_kubectl() -> None:
    """An annotation of the template."""
    annotations = patches.restart(T0)["spec"]["template"]["metadata"]["annotations"]

    assert annotations == {"kubectl.kubernetes.io/restartedAt": "2025-11-30T19:13:20Z"}


def test_an_undo_is_that_of_kubectl() -> None:
    """The former template, its annotations, and no pause any more."""
    now = deployment("2", paused=True)
    now["metadata"]["annotations"] |= {
        "kubectl.kubernetes.io/last-applied-configuration": "kept",
        "kubernetes.io/change-cause": "two",
        "only": "new",
    }
    now["spec"]["template"]["metadata"]["annotations"] = {"restarted": "yes"}
    former = replica_set("1")
    former["metadata"]["annotations"] |= {
        "kubernetes.io/change-cause": "one",
        "deployment.kubernetes.io/desired-replicas": "3",
    }
    patch = patches.undo(now, former)
    after = merged(now, patch)

    assert patch["metadata"]["resourceVersion"] == now["metadata"]["resourceVersion"]
    assert after["spec"]["template"] == template("1")
    assert after["spec"]["paused"] is False
    assert after["metadata"]["annotations"] == {
        "deployment.kubernetes.io/revision": "2",
        "kubectl.kubernetes.io/last-applied-configuration": "kept",
        "kubernetes.io/change-cause": "one",
    }


@pytest.mark.parametrize(
    ("replicas", "surge", "unavailable", "wanted"),
    [
        (10, "25%", "25%", (3, 2)),
        (3, "25%", "25%", (1, 0)),
        (4, 1, 0, (1, 0)),
        (4, 0, 0, (0, 1)),
        (4, "0%", 2, (0, 2)),
        (0, "25%", "25%", (0, 1)),
        (1, "100%", "100%", (1, 1)),
    ],
)
def test_the_limits_are_those_of_the_controller(
    replicas: int, surge: Any, unavailable: Any, wanted: tuple[int, int]
) -> None:
    """maxSurge is rounded up, maxUnavailable down, and not both are 0."""
    found = deployment(replicas=replicas, surge=surge, unavailable=unavailable)

    assert (workload.surge(found), workload.unavailable(found)) == wanted


def test_the_new_replica_set_has_the_template_of_the_deployment() -> None:
    """Whatever its revision is: a rollback takes an old one."""
    sets = [replica_set("1", revision=5), replica_set("2"), replica_set("3")]

    assert workload.newest(deployment("1"), sets) is sets[0]
    assert workload.newest(deployment("4"), sets) is None
    assert workload.former(sets[0], sets) is sets[2]
    assert workload.former(None, sets) is sets[0]
    assert workload.former(sets[0], sets[:1]) is None


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (done(), []),
        (deployment(observed=1), ["the controller has not seen the change yet"]),
        (
            deployment(updated=1, total=4),
            ["1 of 3 pods are created", "3 old pods are to be deleted"],
        ),
        (deployment(updated=3, available=2), ["2 of 3 new pods are available"]),
    ],
    ids=["done", "not seen", "old pods", "not available"],
)
def test_what_is_missing_is_counted_as_kubectl_does(given: Object, wanted: list[str]) -> None:
    """As `kubectl rollout status` waits."""
    assert workload.missing(given) == wanted
