"""The ZooKeeper server of the tests, and the client that looks at it."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.process.waiting import wait_for
from tests.registries.building import LONGEST
from tests.registries.certificates import Authority
from tests.registries.server import Entry
from tests.registries.zookeeper import ZooKeeper
from tests.registries.zookeeper_client import ZooKeeperClient, ZooKeeperError

pytestmark = pytest.mark.timeout(LONGEST)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ZooKeeper]:
    with ZooKeeper(tmp_path) as server:
        yield server


def test_an_entry_is_listed_until_its_session_is_over(server: ZooKeeper) -> None:
    """A session that is closed takes its entries with it; one that falls silent does so later."""
    with server.client("") as client:
        client.create("/shop")
        client.create("/shop/orders", b"10.0.0.7:80", ephemeral=True)
        assert server.entries() == {"/shop/orders": Entry("10.0.0.7:80", f"{client.id:#x}")}
    assert server.entries() == {}
    silent = server.client("", session=1.0)
    assert silent.session == 1.0
    silent.create("/shop/orders", b"", ephemeral=True)
    silent.drop()
    assert server.entries()
    wait_for(lambda: not server.entries(), 10, "the session is over")
    assert "/shop" in server.nodes()


def test_the_data_survive_a_kill_and_do_not_survive_a_wipe(server: ZooKeeper) -> None:
    with server.client() as client:
        client.create("/kept", b"here")
    server.kill()
    server.start()
    assert server.nodes()["/kept"].data == b"here"
    server.stop()
    server.start()
    assert "/kept" in server.nodes()
    server.wipe()
    assert list(server.nodes()) == ["/"]


def test_a_frozen_server_does_not_answer(server: ZooKeeper) -> None:
    server.freeze()
    with pytest.raises(TimeoutError):
        ZooKeeperClient(server.port, timeout=0.5)
    server.thaw()
    assert server.entries() == {}


def test_an_entry_is_taken_by_another_session_and_removed(server: ZooKeeper) -> None:
    with server.client("") as client:
        client.create("/orders", b"ours", ephemeral=True)
        server.take("/orders", "theirs")
        assert server.entries()["/orders"].value == "theirs"
        assert server.entries()["/orders"].owner != f"{client.id:#x}"
        server.remove("/orders")
        assert server.entries() == {}


def test_only_the_user_may_write_until_its_rights_are_revoked(tmp_path: Path) -> None:
    """What was registered stays, and its owner can remove it again only with its rights back."""
    with ZooKeeper(tmp_path, user="shop", password="secret") as server:
        with server.client("shop:wrong") as client:
            with pytest.raises(ZooKeeperError, match="no auth"):
                client.create("/orders")
        with server.client(server.account) as client:
            client.create("/orders", ephemeral=True)
            server.revoke()
            assert list(server.entries()) == ["/orders"]
            with pytest.raises(ZooKeeperError, match="no auth"):
                client.delete("/orders")
            server.grant()
            client.delete("/orders")


def test_tls_with_a_certificate_of_the_client(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    mine = authority.sign("mine")
    with ZooKeeper(tmp_path, authority=authority, wants_certificate=True) as server:
        context = ssl.create_default_context(cafile=authority.certificate)
        with pytest.raises((ssl.SSLError, ConnectionResetError)):
            ZooKeeperClient(server.tls_port, context=context)
        context.load_cert_chain(mine.certificate, mine.key)
        with ZooKeeperClient(server.tls_port, context=context) as client:
            client.create("/orders", ephemeral=True)
            assert list(server.entries()) == ["/orders"]
