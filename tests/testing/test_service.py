"""A Service tells its clients late, each in its own time, and cuts nobody off."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.testing import Exec, Kubelet, NoEndpoints, Service, SliceEntry
from tests.testing.kit import get, quick, web


class Clock:
    """A clock that is set."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Standing:
    """A pod as a Service looks at it, whose conditions a test sets."""

    ip = "127.0.0.1"

    def __init__(self, name: str) -> None:
        self.name = self.uid = name
        self.ready = True
        self.finished = False
        self.deletion: object = None
        self._callback: Callable[[], None] = lambda: None

    def port(self, name: int | str) -> int:
        return int(name)

    def subscribe(self, callback: Callable[[], None]) -> None:
        self._callback = callback

    def become(self, **conditions: object) -> None:
        vars(self).update(conditions)
        self._callback()


def standing(
    clock: Clock, spread: object = (0.5, 2.0), pods: int = 2, **fields: object
) -> tuple[Service, list]:
    service = Service(spread, seed=7, clock=clock, **fields)
    made = [Standing(f"pod-{number}") for number in range(pods)]
    for pod in made:
        service.add(pod, 80)
    return service, made


def knowing(clients: list, name: str) -> int:
    return sum(any(each.name == name for each in client.endpoints()) for client in clients)


def test_removal_reaches_each_client_in_its_own_time():
    """Nobody hears before the earliest, everybody by the latest, and not all at once."""
    clock = Clock()
    service, (gone, _) = standing(clock)
    clients = [service.client() for _ in range(100)]
    gone.become(deletion=object())
    counts = []
    for now in (0.0, 0.49, 1.0, 1.5, 2.0):
        clock.now = now
        counts.append(knowing(clients, "pod-0"))

    assert counts[0] == counts[1] == 100
    assert 100 > counts[2] > counts[3] > 0
    assert counts[4] == 0
    assert knowing(clients, "pod-1") == 100


def test_the_slice_changes_at_once():
    """A deletion sets ready=false and terminating=true; serving follows readiness."""
    service, (gone, _) = standing(Clock())
    endpoint = service.slice[0].endpoint
    gone.become(deletion=object())
    assert service.slice[0] == SliceEntry(endpoint, ready=False, serving=True, terminating=True)
    gone.become(ready=False)
    assert service.slice[0] == SliceEntry(endpoint, ready=False, serving=False, terminating=True)
    gone.become(finished=True)
    assert [each.endpoint.name for each in service.slice] == ["pod-1"]


def test_joining_is_heard_of_sooner():
    """A new endpoint is known within a tenth of the spread."""
    clock = Clock()
    service, _ = standing(clock, 2.0)
    clients = [service.client() for _ in range(50)]
    service.add(Standing("new"), 80)
    assert knowing(clients, "new") < 50
    clock.now = 0.2
    assert knowing(clients, "new") == 50


def test_an_addition_may_be_heard_of_late():
    """With a time of its own it comes within that, and holds up no removal of another endpoint."""
    clock = Clock()
    service = Service(0.5, propagation_in=(5.0, 10.0), seed=7, clock=clock)
    old = Standing("old")
    service.add(old, 80)
    clients = [service.client() for _ in range(100)]
    service.add(Standing("new"), 80)
    old.become(deletion=object(), ready=False)
    counts = []
    for now in (0.0, 0.5, 4.99, 7.5, 10.0):
        clock.now = now
        counts.append((knowing(clients, "old"), knowing(clients, "new")))

    assert counts[:3] == [(100, 0), (0, 0), (0, 0)]
    assert 0 < counts[3][1] < 100
    assert counts[4] == (0, 100)


def test_a_new_client_begins_with_what_is():
    """Who comes later has nothing to hear."""
    clock = Clock()
    service, (gone, _) = standing(clock)
    gone.become(deletion=object())

    assert [each.name for each in service.client().endpoints()] == ["pod-1"]


def test_the_last_one_serves_while_it_terminates():
    """With nobody ready, those that terminate and still serve are asked, then nobody."""
    clock = Clock()
    service, (last,) = standing(clock, 0.0, pods=1)
    client = service.client()
    last.become(deletion=object())
    assert client.pick().name == "pod-0"
    last.become(ready=False)
    with pytest.raises(NoEndpoints):
        client.pick()


def test_the_same_seed_gives_the_same_delays():
    """A rollout can be repeated."""

    def course() -> list[int]:
        clock = Clock()
        service, (gone, _) = standing(clock)
        clients = [service.client() for _ in range(20)]
        gone.become(deletion=object())
        counts = []
        for step in range(20):
            clock.now = step / 10
            counts.append(knowing(clients, "pod-0"))
        return counts

    assert course() == course()


def test_picks_are_spread():
    """Every endpoint gets its share."""
    service, _ = standing(Clock())
    client = service.client()
    picks = [client.pick().name for _ in range(200)]

    assert 50 < picks.count("pod-0") < 150


@pytest.mark.parametrize("wrong", [-1.0, (2.0, 1.0), (-0.5, 1.0), float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["propagation", "propagation_in"])
def test_a_spread_that_is_none(name: str, wrong: object):
    """The earliest is no later than the latest, and both are finite."""
    with pytest.raises(ValueError, match=f"{name}: must be 0 <= earliest <= latest"):
        Service(**{name: wrong})


@pytest.mark.parametrize("wrong", ["2", (0.0, "2"), (1.0, 2.0, 3.0), True, [0.0, 1.0]])
@pytest.mark.parametrize("name", ["propagation", "propagation_in"])
def test_a_spread_of_no_numbers(name: str, wrong: object):
    """What is neither a number nor a pair of them is refused when the Service is made."""
    with pytest.raises(TypeError, match=rf"Service\.{name} must be a number of seconds or a pair"):
        Service(**{name: wrong})


@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.sampled_from(["ready", "not", "gone"]), st.floats(0, 3)),
        max_size=12,
    ),
    st.sampled_from([None, 0.0, 1.5, (0.5, 2.0)]),
)
def test_every_client_ends_with_the_truth(changes, late):
    """Whatever happens in whatever order: after the latest delay, belief is the slice."""
    clock = Clock()
    service, pods = standing(clock, pods=3, propagation_in=late)
    clients = [service.client() for _ in range(5)]
    for which, what, pause in changes:
        clock.now += pause
        if what == "gone":
            pods[which].become(deletion=object(), ready=False)
        else:
            pods[which].become(ready=what == "ready")
    clock.now += 2.0

    truth = {each.endpoint for each in service.slice if each.ready}
    truth = truth or {each.endpoint for each in service.slice if each.terminating and each.serving}
    assert all(set(client.endpoints()) == truth for client in clients)


async def test_deletion_starts_both_at_once(node: Kubelet, tmp_path: Path):
    """The endpoint leaves the slice while the hook has only begun, and nobody waits for anybody."""
    hook = Exec(["sleep", "1"])
    pod = await node.run(web(tmp_path, readiness=quick(get("/")), pre_stop=hook))
    service = Service(2.0, seed=1)
    endpoint = service.add(pod, "http")
    assert service.slice == (SliceEntry(endpoint, False, False, False),)
    await pod.until_ready()
    assert service.slice == (SliceEntry(endpoint, True, True, False),)
    clients = [service.client() for _ in range(20)]
    deletion = pod.delete()
    assert service.slice == (SliceEntry(endpoint, False, True, True),)
    assert deletion.sigterm is None
    assert all(client.endpoints() for client in clients)
    await deletion
    assert deletion.sigterm >= 1
    assert service.slice == ()


async def test_established_connections_are_not_cut(node: Kubelet, tmp_path: Path):
    """A connection goes on being answered though every client knows that the endpoint is gone."""
    pod = await node.run(web(tmp_path, readiness=quick(get("/")), pre_stop=Exec(["sleep", "0.6"])))
    await pod.until_ready()
    service = Service(0.0)
    endpoint = service.add(pod, "http")
    other = service.client()
    reader, writer = await asyncio.open_connection(endpoint.host, endpoint.port)
    deletion = pod.delete()
    assert [each.ready for each in service.slice] == [False]
    assert other.endpoints() == (endpoint,)  # the last one, which still serves
    for _ in range(2):
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        answer = await reader.readuntil(b"ok")
        assert answer.startswith(b"HTTP/1.1 200")
    writer.close()
    await deletion
