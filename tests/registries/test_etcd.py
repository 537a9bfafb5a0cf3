"""The etcd server of the tests."""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.process.waiting import wait_for
from tests.registries.building import LONGEST
from tests.registries.certificates import Authority
from tests.registries.etcd import Etcd
from tests.registries.http_client import Answer, ask
from tests.registries.server import Entry

pytestmark = pytest.mark.timeout(LONGEST)
ORDERS = base64.b64encode(b"/orders").decode()
HERE = base64.b64encode(b"10.0.0.7:80").decode()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Etcd]:
    with Etcd(tmp_path) as server:
        yield server


def send(server: Etcd, path: str, token: str = "", **body: Any) -> Answer:
    headers = {"Authorization": token} if token else {}
    return ask(server.port, "POST", f"/v3/{path}", json.dumps(body), headers=headers)


def token(server: Etcd, password: str) -> str:
    answer = send(server, "auth/authenticate", name=server.user, password=password)
    return str(answer.body.get("token", ""))


def test_an_entry_is_listed_until_its_lease_is_over(server: Etcd) -> None:
    lease = send(server, "lease/grant", TTL=1).body["ID"]
    send(server, "kv/put", key=ORDERS, value=HERE, lease=lease)
    owner = f"{int(lease):#x}"
    assert server.entries() == {"/orders": Entry("10.0.0.7:80", owner)}
    assert server.leases() == {owner}
    wait_for(lambda: not server.entries(), 10, "the lease is over")
    assert server.leases() == set()


def test_the_data_survive_a_kill_and_do_not_survive_a_wipe(server: Etcd) -> None:
    send(server, "kv/put", key=ORDERS, value=HERE)
    server.kill()
    server.start()
    assert server.entries() == {"/orders": Entry("10.0.0.7:80")}
    server.stop()
    server.start()
    assert list(server.entries()) == ["/orders"]
    server.wipe()
    assert server.entries() == {}


def test_a_frozen_server_does_not_answer(server: Etcd) -> None:
    server.freeze()
    with pytest.raises(TimeoutError):
        ask(server.port, "GET", "/health", timeout=0.5)
    server.thaw()
    assert server.entries() == {}


def test_an_entry_is_taken_by_another_lease_and_removed(server: Etcd) -> None:
    lease = send(server, "lease/grant", TTL=60).body["ID"]
    send(server, "kv/put", key=ORDERS, value=HERE, lease=lease)
    server.take("/orders", "theirs")
    assert server.entries()["/orders"].value == "theirs"
    assert server.entries()["/orders"].owner not in ("", f"{int(lease):#x}")
    server.remove("/orders")
    assert server.entries() == {}


def test_a_lease_is_over_at_once(server: Etcd) -> None:
    lease = send(server, "lease/grant", TTL=60).body["ID"]
    send(server, "kv/put", key=ORDERS, value=HERE, lease=lease)
    server.lapse("/orders")
    assert (server.entries(), server.leases()) == ({}, set())


def test_only_the_user_may_write_until_its_rights_are_revoked(tmp_path: Path) -> None:
    """A token without rights is refused, and so is the old password of a rotation."""
    with Etcd(tmp_path, user="shop", password="secret") as server:
        put = {"key": ORDERS, "value": HERE}
        assert send(server, "kv/put", **put).status != 200
        assert send(server, "kv/put", token(server, "secret"), **put).status == 200
        server.revoke()
        assert send(server, "kv/put", token(server, "secret"), **put).status == 403
        assert list(server.entries()) == ["/orders"]
        server.grant()
        server.rotate("other")
        assert not token(server, "secret")
        assert send(server, "kv/put", token(server, "other"), **put).status == 200
        server.kill()
        server.start()
        assert send(server, "kv/put", token(server, "other"), **put).status == 200


@pytest.mark.parametrize("wanted", [False, True])
def test_tls_with_and_without_a_certificate_of_the_client(tmp_path: Path, wanted: bool) -> None:
    authority = Authority(tmp_path)
    mine = authority.sign("mine")
    with Etcd(tmp_path, authority=authority, wants_certificate=wanted) as server:
        context = ssl.create_default_context(cafile=authority.certificate)
        body = json.dumps({"key": ORDERS, "value": HERE})
        if wanted:
            with pytest.raises((ssl.SSLError, ConnectionResetError)):
                ask(server.tls_port, "POST", "/v3/kv/put", body, context=context)
            context.load_cert_chain(mine.certificate, mine.key)
        answer = ask(server.tls_port, "POST", "/v3/kv/put", body, context=context)
        assert answer.status == 200, answer
        assert list(server.entries()) == ["/orders"]
