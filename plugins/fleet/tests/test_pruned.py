"""The parts of objects that are kept: what the view needs, and nothing else."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from lifecycle_fleet.cluster.kinds import EVENT, POD, SLICE, Kind
from lifecycle_fleet.serve.shapes import SHAPES
from lifecycle_fleet.view import pruned
from lifecycle_fleet.view.endpoints import Endpoints
from lifecycle_fleet.view.pod import view
from lifecycle_fleet.view.told import MOST

from plugins.fleet.tests import pods

texts = st.text(max_size=12)
codes = st.sampled_from([0, 1, 124, 137, 143])
times = st.integers(1_600_000_000, 1_900_000_000).map(float)
ends = st.builds(pods.ended, codes, times, st.sampled_from(["", "OOMKilled"]))
states = st.sampled_from(
    ["running", "waiting CrashLoopBackOff", "waiting ContainerCreating", "ended 0", "ended 137"]
)
annotations = st.one_of(
    st.none(),
    texts,
    st.builds(
        pods.told,
        st.sampled_from(["ready", "draining", "failed", "odd"]),
        qos_port=st.sampled_from([22222, 4711, None]),
    ),
)
containers = st.builds(pods.container, states, st.integers(0, 9), st.none() | ends)


specs = st.fixed_dictionaries(
    {"name": st.sampled_from(["app", "proxy", "x"])},
    optional={
        "ports": st.just([{"name": "qos", "containerPort": 22222}])
        | st.just([{"containerPort": 4711}]),
        "command": st.just(["lifecycle", "run", "a:b"]) | st.just(["nginx"]),
        "lifecycle": st.just({"preStop": {"exec": {"command": ["lifecycle", "prestop"]}}}),
        "livenessProbe": st.just({"httpGet": {"path": "/live", "port": 22222}}),
    },
)


@st.composite
def any_pods(draw: Any) -> dict[str, Any]:
    """Return pods of all kinds."""
    made = pods.pod(
        draw(st.sampled_from(["orders-7d9f6c5b8-abcde", "mail-0", "x"])),
        annotation=draw(annotations),
        ready=draw(st.booleans()),
        gate=draw(st.booleans()),
        deleted=draw(st.just(0.0) | times),
        workload=draw(
            st.none() | st.sampled_from([("StatefulSet", "mail"), ("Job", "a-1"), ("", "")])
        ),
        node=draw(st.sampled_from(["", "node-1"])),
    )
    status = made["status"]
    status["containerStatuses"] = draw(st.lists(containers, max_size=3) | st.none())
    status["phase"] = draw(st.sampled_from(["Running", "Pending", "Failed", "Succeeded", None]))
    status["reason"] = draw(st.sampled_from([None, "Evicted"]))
    made["spec"]["containers"] = draw(
        st.lists(specs, max_size=3, unique_by=lambda each: each["name"])
    )
    if draw(st.booleans()):
        made["metadata"]["labels"] = None
    if draw(st.booleans()):
        made["status"] = None
    return made


def shaped(kind: Kind, thing: dict[str, Any]) -> dict[str, Any]:
    """Return an object as it is decoded in its shape."""
    page = {"metadata": {}, "items": [thing]}
    found: Any = msgspec.json.decode(msgspec.json.encode(page), type=SHAPES[kind])
    one: dict[str, Any] = found["items"][0]
    return one


@given(any_pods())
def test_nothing_is_missing(pod: dict[str, Any]) -> None:
    """A pod is shown as if it were decoded and kept as a whole."""
    assert view(pruned.pod(pod)) == view(pod)
    assert pruned.pod(shaped(POD, pod)) == pruned.pod(pod)


def test_what_is_not_shown_is_not_kept() -> None:
    """Of specs, volumes and managed fields nothing is left."""
    pod = pods.pod()
    pod["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied"] = "x" * 10_000
    pod["spec"]["volumes"] = [{"name": "x" * 5_000}]

    assert len(json.dumps(pruned.pod(pod))) < 800


def test_an_annotation_that_is_too_long_is_not_kept() -> None:
    """Whoever may change a pod must not fill the memory."""
    pod = pods.pod(annotation=pods.told(cause="x" * MOST))

    assert len(json.dumps(pruned.pod(pod))) < 800
    assert view(pruned.pod(pod)) == view(pod)
    assert view(pod).told is None


def test_an_app_with_many_services() -> None:
    """Two hundred of them, with long names, are all shown."""
    names = [f"com.example.shop.orders.OrderService{number:027}" for number in range(200)]
    pod = pods.pod(annotation=pods.told(online=names[:100], offline=names[100:]))
    told = view(pruned.pod(pod)).told

    assert told is not None
    assert [*told.online, *told.offline] == names


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans() | st.none()), max_size=5))
def test_a_slice(endpoints: list[tuple[str, bool | None]]) -> None:
    """Clients find the same pods, also where a slice does not say whether one is ready."""
    made = pods.piece({})
    made["endpoints"] = [
        {
            "conditions": {"ready": ready} if ready is not None else {},
            "targetRef": {"kind": "Pod", "name": name},
        }
        for name, ready in endpoints
    ]
    made["endpoints"] += [{"addresses": ["10.0.0.9"]}, {"targetRef": {"kind": "Node", "name": "a"}}]
    whole, small = Endpoints([made]), Endpoints([pruned.piece(shaped(SLICE, made))])

    assert [small.of("shop", each) for each in "abc"] == [whole.of("shop", each) for each in "abc"]


def test_an_event() -> None:
    """The pod, and the time of both kinds of events."""
    pod = pods.pod()
    pod["metadata"]["uid"] = "u1"
    old = pods.hook_failed(pod)
    new = {**old, "lastTimestamp": None, "eventTime": "2026-01-02T03:04:05.000006Z"}

    assert pruned.event(old)["involvedObject"] == {
        "name": pod["metadata"]["name"],
        "uid": "u1",
    }
    assert pruned.event(shaped(EVENT, old)) == pruned.event(old)
    assert pruned.event(shaped(EVENT, new)) == pruned.event(new)
    assert pruned.event(old)["at"] == pods.NOW
    assert pruned.event(new)["at"] == 1767323045.000006
