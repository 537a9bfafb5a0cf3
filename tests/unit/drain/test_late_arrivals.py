"""What comes after the drain start: new connections, and requests on those that were there."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.drain import late_arrivals
from lifecycle.drain.late_arrivals import SECONDS_SHOWN, LateArrivals, Timeline
from lifecycle.drain.peers import open_connections, peer_of
from lifecycle.drain.socket_diagnosis import NoDiagnosis

BEGAN = 100.0
OLD, NEW, NEWER = ("10.0.0.1", 1001), ("10.0.0.2", 1002), ("10.0.0.3", 1003)
NONE = object()
HOSTS = pytest.mark.parametrize("host", ["127.0.0.1", "::1"])


@pytest.fixture
def record(monkeypatch: pytest.MonkeyPatch) -> Callable[..., LateArrivals]:
    """A drain at 100 s, with OLD connected before, as the kernel lists it at once."""

    def at_once(function: Callable[[], object], done: Callable[..., None], *, name: str) -> None:
        try:
            done(function(), None)
        except OSError as error:
            done(None, error)

    monkeypatch.setattr(late_arrivals, "run_in_thread", at_once)

    def make(*, ports: tuple[int, ...] = (80,), listed: object = None) -> LateArrivals:
        def listing(_: object) -> object:
            if isinstance(listed, Exception):
                raise listed
            return None if listed is NONE else {peer_of(OLD)}

        monkeypatch.setattr(late_arrivals, "open_connections", listing)
        made = LateArrivals(lambda: BEGAN)
        made.begin(BEGAN, ports)
        return made

    return make


def last(record: LateArrivals) -> tuple[float | None, float | None]:
    status = record.status()
    return status["last_connection"], status["last_request"]


def test_a_keep_alive_connection_is_not_new(record) -> None:
    """Its late request is the last one, and yet its client may have noticed long ago."""
    made = record()
    made.request(101.5, NEW)
    made.request(109.0, OLD)
    assert made.status() == {
        "last_connection": 1.5,
        "last_request": 9.0,
        "arrivals": [0, 1, 0, 0, 0, 0, 0, 0, 0, 1],
        "connections": [0, 1],
    }


def test_a_new_connection_is_new_once(record) -> None:
    """Its later requests, over HTTP/2 for example, are requests only."""
    made = record()
    for at in (100.5, 100.6, 104.0):
        made.request(at, NEW)
    made.request(101.0, NEWER)
    assert made.status()["connections"] == [1, 1]
    assert last(made) == (1.0, 4.0)


def test_nothing_came(record) -> None:
    """That is known, and is not the same as unknown."""
    assert record().status() == {
        "last_connection": 0.0,
        "last_request": 0.0,
        "arrivals": [],
        "connections": [],
    }


UNIX, PROXIED, PATH = None, ("203.0.113.7", 0), "/run/app.sock"


@pytest.mark.parametrize("hidden", [UNIX, PROXIED, PATH, ("testclient", 50000)])
def test_one_request_of_an_unknown_client_hides_all_connections(record, hidden: object) -> None:
    """It may have been on a new one: a time without it could make settle too short."""
    made = record()
    made.request(101.0, NEW)
    made.request(103.0, hidden)
    assert last(made) == (None, 3.0)
    assert made.status()["connections"] is None


@pytest.mark.parametrize(
    "unknown",
    [{"ports": ()}, {"listed": OSError("no descriptor")}, {"listed": NONE}],
    ids=["no port", "no descriptor", "no list"],
)
def test_what_the_kernel_does_not_list(record, unknown: dict[str, object]) -> None:
    """Then every connection could be an old one."""
    made = record(**unknown)
    made.request(101.0, NEW)
    assert last(made) == (None, 1.0)


def test_without_a_thread_for_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the limit of threads, the drain goes on, and connections are unknown."""

    def none(*_: object, **__: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(late_arrivals, "run_in_thread", none)
    made = LateArrivals(lambda: BEGAN)
    made.begin(BEGAN, [80])
    made.request(101.0, NEW)
    assert last(made) == (None, 1.0)


def test_until_the_list_is_there_nothing_is_new(record) -> None:
    """What comes in these milliseconds may be in the list that is being made."""
    made = record()
    made._listed_at = 100.3
    made.request(100.2, NEW)
    made.request(100.3, NEWER)
    assert made.status()["connections"] == [1]


def test_work_of_the_app_itself_is_no_connection(record) -> None:
    """A message of a queue has none, and hides none."""
    made = record()
    made.work(104.0)
    assert last(made) == (None, 4.0)
    made.request(101.0, NEW)
    assert last(made) == (1.0, 4.0)


def test_without_a_drain_nothing_is_recorded() -> None:
    """The app has ended by itself, and still gets a request."""
    made = LateArrivals(lambda: BEGAN)
    made.request(101.0, NEW)
    made.work(101.0)
    assert last(made) == (0.0, 0.0)


def test_the_new_connections_that_are_remembered_are_bounded(record, monkeypatch) -> None:
    """Beyond it their requests count as new ones: settle gets longer, and never shorter."""
    monkeypatch.setattr(late_arrivals, "PEERS_KEPT", 2)
    made = record()
    for port in range(1, 6):
        made.request(101.0, ("10.0.0.9", port))
        made.request(102.0, ("10.0.0.9", port))
    assert made.status()["connections"] == [0, 5, 3]


def test_threads_lose_nothing(record) -> None:
    """Requests of many threads are all counted."""
    made = record()

    def ask(number: int) -> None:
        for port in range(1, 201):
            made.request(100.0 + number, (f"10.0.1.{number}", port))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(10)
    assert made.status()["arrivals"] == [200] * 4


@given(st.lists(st.floats(-5, 400), max_size=50))
def test_a_timeline_counts_everything_in_bounded_space(times: list[float]) -> None:
    """Each in its second, the late ones in the last, and those before the start in the first."""
    made = Timeline(0.0)
    for at in times:
        made.add(at)
    assert sum(made.seconds) == len(times)
    assert len(made.seconds) <= SECONDS_SHOWN
    assert made.last == max([0.0, *times])
    if times:
        assert made.seconds[-1] > 0


ADDRESSES = {
    "an IPv4 address": (("10.0.0.7", 80), (b"\n\0\0\7", 80)),
    "a list, as daphne has it": (["10.0.0.7", 80], (b"\n\0\0\7", 80)),
    "an IPv4 address in IPv6": (("::ffff:10.0.0.7", 80, 0, 0), (b"\n\0\0\7", 80)),
    "an IPv6 address": (("::1", 80, 0, 0), (bytes(15) + b"\1", 80)),
    "an IPv6 address with its interface": (
        ("fe80::1%eth0", 80),
        (b"\xfe\x80" + bytes(13) + b"\1", 80),
    ),
    "a proxy's": (("10.0.0.7", 0), None),
    "a name": (("client.example", 80), None),
    "half an address": (("10.0.0.7",), None),
    "a port in letters": (("10.0.0.7", "80"), None),
    "a path": ("/run/app.sock", None),
    "bytes": (b"\0app", None),
    "none": (None, None),
    "two hosts": (("10.0.0.7, 10.0.0.8", 80), None),
    "a NUL": (("10.0.0.7\0", 80), None),
}


@pytest.mark.parametrize(("address", "peer"), ADDRESSES.values(), ids=ADDRESSES)
def test_an_address_of_a_client(address: object, peer: object) -> None:
    """Only a TCP connection has a peer."""
    assert peer_of(address) == peer


@given(st.tuples(st.one_of(st.text(), st.binary(), st.none()), st.one_of(st.integers(), st.text())))
def test_no_address_is_too_strange(address: object) -> None:
    """The app, or a client's header, may put anything there."""
    found = peer_of(address)
    assert found is None or (len(found[0]) in (4, 16) and 0 < found[1] < 65536)


@pytest.fixture(params=["the diagnosis", "the tables"])
def kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways in which the kernel lists connections."""

    def none(*_: object, **__: object) -> None:
        raise NoDiagnosis

    if request.param == "the tables":
        monkeypatch.setattr("lifecycle.drain.peers.sockets_of", none)
        monkeypatch.setattr("lifecycle.drain.kernel_sockets.sockets_of", none)
    return


@HOSTS
@pytest.mark.usefixtures("kernel")
def test_the_kernel_lists_who_is_connected(host: str) -> None:
    """As the server sees its clients, and nobody else."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as server:
        port = server.getsockname()[1]
        with socket.create_connection((host, port)) as client, server.accept()[0] as accepted:
            assert open_connections([port]) == {peer_of(client.getsockname())}
            assert peer_of(accepted.getpeername()) == peer_of(client.getsockname())
            assert open_connections([client.getsockname()[1]]) == {peer_of((host, port))}
        assert open_connections([]) == set()


def test_a_system_without_any_list(monkeypatch: pytest.MonkeyPatch) -> None:
    """That nobody is listed proves nothing there."""

    def none(*_: object, **__: object) -> None:
        raise NoDiagnosis

    monkeypatch.setattr("lifecycle.drain.peers.sockets_of", none)
    monkeypatch.setattr("lifecycle.drain.peers.TABLES", ("/nowhere",))
    assert open_connections([80]) is None


@HOSTS
def test_a_drain_with_real_connections(host: str) -> None:
    """The list comes from a thread, and tells the old one from the new one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    clock = iter(range(100, 200))
    with socket.create_server((host, 0), family=family) as server:
        where = server.getsockname()[:2]
        with socket.create_connection(where) as old:
            made = LateArrivals(lambda: next(clock))
            listed = threading.Event()
            was = made._listed

            def note(*found: object) -> None:
                was(*found)
                listed.set()

            made._listed = note
            made.begin(99.0, [where[1]])
            assert listed.wait(10)
            with socket.create_connection(where) as new:
                made.request(102.0, new.getsockname())
                made.request(105.0, old.getsockname())
    assert last(made) == (3.0, 6.0)
