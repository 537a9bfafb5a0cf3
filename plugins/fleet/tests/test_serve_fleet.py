"""All pods that are shown, from the changes of the API server."""

from __future__ import annotations

import copy
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from lifecycle_fleet.serve.fleet import Fleet
from lifecycle_fleet.view import pruned

from plugins.fleet.tests import pods
from plugins.fleet.tests.pods import NOW, ended, told

Object = dict[str, Any]
OLD, NEW = "orders-7d9f6c5b8-aaaaa", "orders-5f4d3c2b1-bbbbb"


class Cluster:
    """
    What an API server tells a fleet.

    Attributes:
        fleet: The fleet.
        woken: How often it has said that there is something to take.
        time: The time.
    """

    def __init__(self, **given: Any) -> None:
        self.time = NOW
        self.woken = 0
        self.pods: dict[str, Object] = {}
        self.fleet = Fleet(lambda: self.time, on_change=self._wake, **given)

    def _wake(self) -> None:
        self.woken += 1

    def put(self, pod: Object, uid: str = "u1") -> None:
        """Create or change a pod."""
        pod["metadata"]["uid"] = uid
        new, name = pruned.pod(pod), pod["metadata"]["name"]
        self.fleet.pod(self.pods.get(name), new)
        self.pods[name] = new

    def delete(self, name: str) -> None:
        """Delete a pod."""
        self.fleet.pod(self.pods.pop(name), None)

    def slices(self, **names: bool) -> None:
        """Let a slice have these pods."""
        self.fleet.piece(None, pruned.piece(pods.piece(names)))

    def hook(self, pod: Object) -> None:
        """Let the hook of a pod have failed."""
        self.fleet.hook_failed(None, pruned.event(pods.hook_failed(pod)))

    def shown(self) -> dict[str, Object]:
        """Take the changes, and return the pods that are shown, by name."""
        self.fleet.take()
        return {name: json.loads(row.json) for (_, name), row in self.fleet.rows.items()}


def test_only_pods_with_pod_lifecycle_are_shown() -> None:
    """Those that tell something, or have the readiness gate."""
    cluster = Cluster()
    cluster.put(pods.pod(OLD))
    cluster.put(pods.pod("gate-5f-x", annotation=None, gate=True))
    cluster.put(pods.pod("foreign-5f-x", annotation=None))
    cluster.put(pods.pod("bare", annotation=None, workload=("", "")))

    assert cluster.shown().keys() == {OLD, "gate-5f-x"}


def test_all_pods_if_they_are_wanted() -> None:
    """As with `--all`."""
    cluster = Cluster(all_pods=True)
    cluster.put(pods.pod("foreign-5f-x", annotation=None))

    assert cluster.shown().keys() == {"foreign-5f-x"}


def test_a_new_image_that_crashes_is_seen() -> None:
    """It cannot tell anything, and its workload is known, also when the last old pod is gone."""
    cluster = Cluster()
    new = pods.pod(NEW, annotation=None, ready=False, state="waiting CrashLoopBackOff")
    cluster.put(new, "u2")
    assert not cluster.shown()

    cluster.put(pods.pod(OLD))
    assert cluster.shown()[NEW]["problem"] == "CrashLoopBackOff"
    cluster.delete(OLD)
    assert cluster.shown().keys() == {NEW}
    cluster.delete(NEW)
    cluster.put(new, "u3")
    assert not cluster.shown()


def test_a_change_of_a_slice_is_a_change_of_its_pods() -> None:
    """Of those only that clients find now, or do not find any more."""
    cluster = Cluster()
    cluster.put(pods.pod("a"))
    cluster.put(pods.pod("b"), "u2")
    cluster.slices(a=True, b=True)
    cluster.shown()

    cluster.slices(a=True, b=False)
    (changed,) = cluster.fleet.take().pods
    assert json.loads(changed)["name"] == "b"
    assert {name: each["in_slices"] for name, each in cluster.shown().items()} == {
        "a": "yes",
        "b": "no",
    }
    cluster.fleet.piece(pruned.piece(pods.piece({})), None)
    assert {each["in_slices"] for each in cluster.shown().values()} == {"-"}


def test_a_slice_may_come_before_its_pod() -> None:
    """The lists are requested side by side."""
    cluster = Cluster()
    cluster.slices(**{OLD: True})
    cluster.put(pods.pod(OLD))

    assert cluster.shown()[OLD]["in_slices"] == "yes"


def test_many_changes_are_one() -> None:
    """And what has not changed in what is shown is none."""
    cluster = Cluster()
    for state in ("starting", "exporting", "registered", "ready"):
        cluster.put(pods.pod(OLD, annotation=told(state)))
    changes = cluster.fleet.take()
    assert [json.loads(each)["state"] for each in changes.pods] == ["ready"]

    cluster.put(pods.pod(OLD))
    assert cluster.fleet.take() == ([], [], False)
    cluster.put(pods.pod("new"), "u2")
    cluster.delete("new")
    assert cluster.fleet.take() == ([], [], False)


def test_gone() -> None:
    """A pod that was shown is named once."""
    cluster = Cluster()
    cluster.put(pods.pod(OLD))
    cluster.shown()
    cluster.delete(OLD)

    assert cluster.fleet.take().gone == [("shop", OLD)]
    assert cluster.fleet.take().gone == []


def test_a_problem_may_begin_by_itself() -> None:
    """The fleet says when to look again."""
    cluster = Cluster()
    cluster.put(pods.pod(OLD, annotation=told("draining", since=NOW), ready=False))
    assert cluster.shown()[OLD]["problem"] == ""
    assert cluster.fleet.due() == NOW + 40

    cluster.time = NOW + 39
    cluster.fleet.refresh()
    assert cluster.fleet.take().pods == []
    cluster.time = cluster.fleet.due()
    woken = cluster.woken
    cluster.fleet.refresh()
    assert cluster.woken > woken
    assert cluster.shown()[OLD]["problem"] == "is still there after its grace period"
    assert cluster.fleet.due() > NOW + 10**9


def ends(cluster: Cluster) -> list[tuple[str, str]]:
    """Return the bad ends: names and how."""
    return [(each.name, each.how) for each in cluster.fleet.ends.shown()]


def last(code: int, name: str = OLD, **given: Any) -> Object:
    """Return the last state of a pod that is deleted."""
    return pods.pod(name, state=f"ended {code}", deleted=NOW, ready=False, **given)


def test_how_pods_have_ended() -> None:
    """Bad ends are shown, the latest first, and all are counted."""
    cluster = Cluster()
    for number, code in enumerate((0, 143, 124, 137, 1)):
        pod = last(code, f"{OLD}{number}")
        ending = pod["status"]["containerStatuses"][0]["state"]["terminated"]
        ending["finishedAt"] = pods.stamp(NOW + number)
        cluster.put(pod, f"u{number}")
        cluster.delete(f"{OLD}{number}")
    cluster.put(pods.pod("lost"), "u9")
    cluster.delete("lost")

    assert ends(cluster) == [(f"{OLD}4", "failed"), (f"{OLD}3", "killed"), (f"{OLD}2", "cut off")]
    assert cluster.fleet.take().ends
    assert {how: count for (_, how), count in cluster.fleet.ends.counts.items()} == {
        "clean": 2,
        "cut off": 1,
        "killed": 1,
        "failed": 1,
        "unknown": 1,
    }


def test_a_clean_end_is_no_news() -> None:
    """Nothing is sent about it, but that the pod is gone."""
    cluster = Cluster()
    cluster.put(last(0))
    cluster.shown()
    cluster.delete(OLD)

    assert cluster.fleet.take() == ([], [("shop", OLD)], False)


def test_the_worst_container_counts() -> None:
    """Also if another one has ended later, and well."""
    cluster = Cluster()
    containers = [
        {"state": {"terminated": ended(137, NOW - 9)}},
        {"state": {"terminated": ended(0, NOW)}},
    ]
    cluster.put(pods.pod(OLD, status={"containerStatuses": containers}, deleted=NOW))
    cluster.delete(OLD)

    assert ends(cluster) == [(OLD, "killed")]


def test_an_earlier_restart_is_not_the_end() -> None:
    """Of a pod whose node is lost, nobody knows how it has ended."""
    cluster = Cluster()
    cluster.put(pods.pod(OLD, restarts=1, last=ended(137), deleted=NOW))
    cluster.delete(OLD)

    assert ends(cluster) == []


def test_a_failed_hook() -> None:
    """It is a problem of a pod that is there, and how a pod has ended that is gone."""
    cluster = Cluster()
    there, gone = pods.pod("there"), last(0, "gone")
    cluster.put(there, "u1")
    cluster.put(gone, "u2")
    cluster.hook(there)
    cluster.delete("gone")
    cluster.hook(gone)

    assert cluster.shown()["there"]["problem"] == "the preStop hook failed"
    cluster.put(last(143, "there"), "u1")
    cluster.delete("there")
    assert sorted(ends(cluster)) == [("gone", "hook failed"), ("there", "hook failed")]
    assert cluster.fleet.ends.hooks.total() == 2


def test_an_event_about_another_pod() -> None:
    """A name may be used again, and the Event of a foreign pod is nobody's."""
    cluster = Cluster()
    before = last(0)
    cluster.put(pods.pod(OLD), "u2")
    cluster.hook(before | {"metadata": before["metadata"] | {"uid": "u1"}})

    assert cluster.shown()[OLD]["problem"] == ""
    assert ends(cluster) == []


def test_a_name_that_is_used_again() -> None:
    """As of a StatefulSet: after a gap in the watch, the old pod has ended."""
    cluster = Cluster()
    cluster.put(last(137, "mail-0", workload=("StatefulSet", "mail")), "u1")
    cluster.put(pods.pod("mail-0", workload=("StatefulSet", "mail")), "u2")

    assert ends(cluster) == [("mail-0", "killed")]
    assert cluster.shown()["mail-0"]["uid"] == "u2"


def test_ends_are_bounded() -> None:
    """However many pods end badly, and however many workloads there are."""
    cluster = Cluster()
    for number in range(1500):
        name = f"run-{number}-5f-x"
        cluster.put(last(137, name), f"u{number}")
        cluster.delete(name)

    assert len(cluster.fleet.ends.shown()) == 50
    assert len(cluster.fleet.ends.counts) == 1001
    assert cluster.fleet.ends.counts[("", "other"), "killed"] == 500
    assert cluster.shown() == {}


names = st.sampled_from([OLD, NEW, "orders-7d9f6c5b8-ccccc", "mail-0", "bare"])
changes = st.one_of(
    st.tuples(
        st.just("put"),
        names,
        st.sampled_from([None, told(), told("draining"), told("ready", offline=["a"], online=[])]),
        st.booleans(),
    ),
    st.tuples(st.just("delete"), names),
    st.tuples(st.just("slice"), st.dictionaries(names, st.booleans())),
    st.tuples(st.just("take")),
)


@given(st.lists(changes, max_size=30))
def test_readers_see_what_is_there(steps: list[Any]) -> None:
    """After any changes, the sum of all that was taken is what a new server would show."""
    cluster, seen = Cluster(), dict[str, Object]()
    last_slice: dict[str, bool] | None = None
    ours = False
    for step in [*steps, ("take",)]:
        if step[0] == "put":
            owner = {"mail-0": ("StatefulSet", "mail"), "bare": ("", "")}.get(step[1])
            pod = pods.pod(step[1], annotation=step[2], ready=step[3], workload=owner)
            ours = ours or bool(step[2])
            cluster.put(copy.deepcopy(pod))
        elif step[0] == "delete" and step[1] in cluster.pods:
            cluster.delete(step[1])
        elif step[0] == "slice":
            last_slice = step[1]
            cluster.slices(**last_slice)
        elif step[0] == "take":
            taken = cluster.fleet.take()
            for _, name in taken.gone:
                del seen[name]
            seen |= {each["name"]: each for each in map(json.loads, taken.pods)}

    fresh = Cluster()
    if last_slice is not None:
        fresh.slices(**last_slice)
    for pod in cluster.pods.values():
        fresh.fleet.pod(None, pod)
    expected = fresh.shown()
    assert seen == cluster.shown()
    assert {name: seen[name] for name in expected} == expected
    # A workload that has told something once stays, so more may be shown, and never less.
    assert seen.keys() <= cluster.pods.keys()
    assert ours or not seen
