"""The plugin `tcp`."""

from __future__ import annotations

import contextlib
import socket

import pytest
from lifecycle_probes.tcp import read_target

import lifecycle


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock.getsockname()[1]


@pytest.fixture
def closed_port():
    """A port that is bound, so that nobody else can open it, and that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


@pytest.fixture
def full_port():
    """A port whose backlog is full: what connects to it waits."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(8):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(server.getsockname())
        yield server.getsockname()[1]


def test_every_target_has_an_answer_of_its_own(ask, listener, closed_port):
    """What accepts is ok, what refuses is not, and each is named by its target."""
    up, down = f"127.0.0.1:{listener}", f"127.0.0.1:{closed_port}"

    answers = ask("tcp", TCP_TARGETS=f"{up},{down}")

    assert {f"tcp.{up}": True, f"tcp.{down}": False} == {n: a["ok"] for n, a in answers.items()}
    assert f"127.0.0.1 port {listener}: connected in" in answers[f"tcp.{up}"]["reason"]
    assert "nothing listens on the port" in answers[f"tcp.{down}"]["reason"]


def test_a_target_can_be_named(ask, listener):
    """NAME=HOST:PORT: the name is what everybody sees."""
    assert list(ask("tcp", TCP_TARGETS=f"postgres=127.0.0.1:{listener}")) == ["tcp.postgres"]


def test_every_address_of_a_name_is_tried(ask, listener):
    """`localhost` may be ::1 first; what listens on 127.0.0.1 only is found all the same."""
    assert ask("tcp", TCP_TARGETS=f"localhost:{listener}")[f"tcp.localhost:{listener}"]["ok"]


def test_a_name_that_does_not_resolve_is_told_from_a_closed_port(ask):
    """The reason says where to look. (A zone that no interface has: no name server is asked.)"""
    answer = ask("tcp", TCP_TARGETS="db=[fe80::1%none]:5432")["tcp.db"]

    assert not answer["ok"]
    assert answer["reason"].startswith("fe80::1%none port 5432: the name does not resolve")


def test_what_does_not_answer_costs_its_own_timeout_only(ask, full_port, listener):
    """A target that hangs is false within `timeout`, and the one beside it is still ok."""
    answers = ask(
        "tcp",
        TCP_TARGETS=f"stuck=127.0.0.1:{full_port},up=127.0.0.1:{listener}",
        TCP_TIMEOUT="0.2",
    )

    assert answers["tcp.up"]["ok"]
    assert not answers["tcp.stuck"]["ok"]
    assert "no answer in time" in answers["tcp.stuck"]["reason"]
    assert answers["tcp.stuck"]["ms"] < 700


def test_its_timeout_stays_under_the_probe_timeout(ask, full_port):
    """A timeout that is too long for `probe_timeout` still leaves the reason to the plugin."""
    answers = ask("tcp", TCP_TARGETS=f"stuck=127.0.0.1:{full_port}", TCP_TIMEOUT="30")

    assert "no answer in time" in answers["tcp.stuck"]["reason"]


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("db:5432", ("db", 5432)),
        ("orders.shop.svc.cluster.local:80", ("orders.shop.svc.cluster.local", 80)),
        ("10.0.0.7:65535", ("10.0.0.7", 65535)),
        ("[::1]:6379", ("::1", 6379)),
    ],
)
def test_a_target_is_host_and_port(text, where):
    """Names, IPv4 and IPv6 addresses; the name of the answer is the text."""
    assert (text, where) == read_target(text)


@pytest.mark.parametrize(
    ("targets", "problem"),
    [
        ("db", "'db': must be HOST:PORT"),
        ("db:0", "'db:0': must be HOST:PORT"),
        ("db:65536", "'db:65536': must be HOST:PORT"),
        ("db:5432x", "'db:5432x': must be HOST:PORT"),
        (":5432", "':5432': must be HOST:PORT"),
        ("::1:5432", "'::1:5432': must be HOST:PORT, [IPv6]:PORT"),
        ("tcp://db:5432", "'tcp://db:5432': must be HOST:PORT"),
        ("user@db:5432", "'user@db:5432': must be HOST:PORT"),
        (f"{'a' * 64}:5432", "must be HOST:PORT"),
        ("a..b:5432", "'a..b:5432': must be HOST:PORT"),
        ("=db:5432", "'' is not a valid name"),
        ("a b=db:5432", "'a b' is not a valid name"),
        ("db:1,db:1", "two targets are named 'db:1'"),
    ],
)
def test_a_bad_target_names_the_variable(ask, targets, problem):
    """What is no target is an error at start, with what would be one and where it stands."""
    with pytest.raises(lifecycle.ConfigError) as refused:
        ask("tcp", TCP_TARGETS=targets)

    assert problem in str(refused.value)
    assert "LIFECYCLE_TCP_TARGETS" in str(refused.value)


@pytest.mark.parametrize("timeout", ["0", "61", "nan", "soon"])
def test_a_bad_timeout_names_the_variable(ask, timeout):
    """Out of range, or no number."""
    with pytest.raises(lifecycle.ConfigError, match="LIFECYCLE_TCP_TIMEOUT"):
        ask("tcp", TCP_TIMEOUT=timeout)
