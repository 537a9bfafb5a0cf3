"""The Consul agent of the tests."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.process.waiting import wait_for
from tests.registries.building import LONGEST
from tests.registries.certificates import Authority
from tests.registries.consul import Consul, new_token
from tests.registries.http_client import ask

pytestmark = pytest.mark.timeout(LONGEST)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Consul]:
    with Consul(tmp_path) as server:
        yield server


def register(server: Consul, ttl: str = "60s", token: str = "") -> int:
    body: dict[str, Any] = {
        "ID": "orders-1",
        "Name": "orders",
        "Address": "10.0.0.7",
        "Port": 80,
        "Check": {"CheckID": "orders-1", "TTL": ttl, "Status": "passing"},
    }
    headers = {"X-Consul-Token": token} if token else {}
    path = "/v1/agent/service/register"
    return ask(server.port, "PUT", path, json.dumps(body), headers=headers).status


def test_an_entry_is_listed_while_its_check_passes(server: Consul) -> None:
    """After the TTL, it is still in the catalogue, but not among those that pass."""
    assert register(server, "1s") == 200
    assert list(server.entries()) == ["orders-1"]
    assert json.loads(server.entries()["orders-1"].value)["Port"] == 80
    assert server.entries()["orders-1"].owner == "orders-1"
    wait_for(lambda: not server.entries(), 10, "the TTL is over")
    assert list(server.everything()) == ["orders-1"]


def test_the_data_survive_a_kill_and_do_not_survive_a_wipe(server: Consul) -> None:
    register(server)
    server.kill()
    server.start()
    wait_for(lambda: "orders-1" in server.everything(), 10, "the agent has read its data")
    server.stop()
    server.start()
    wait_for(lambda: "orders-1" in server.everything(), 10, "the agent has read its data")
    server.wipe()
    assert server.everything() == {}


def test_a_frozen_server_does_not_answer(server: Consul) -> None:
    server.freeze()
    with pytest.raises(TimeoutError):
        ask(server.port, "GET", "/v1/status/leader", timeout=0.5)
    server.thaw()
    assert server.entries() == {}


def test_an_entry_is_taken_by_another_process_and_removed(server: Consul) -> None:
    register(server)
    server.take("orders-1", "10.9.9.9")
    wait_for(lambda: "10.9.9.9" in server.entries()["orders-1"].value, 10, "it is theirs")
    assert server.entries()["orders-1"].owner == ""
    server.remove("orders-1")
    wait_for(lambda: not server.everything(), 10, "it is removed")


def test_a_check_fails_at_once(server: Consul) -> None:
    register(server)
    server.lapse("orders-1")
    wait_for(lambda: not server.entries(), 10, "it fails")
    assert list(server.everything()) == ["orders-1"]


def test_only_the_token_may_register_until_its_rights_are_revoked(tmp_path: Path) -> None:
    with Consul(tmp_path, token=new_token()) as server:
        assert register(server) == 403
        assert register(server, token=server.token) == 200
        server.revoke()
        assert register(server, token=server.token) == 403
        assert list(server.entries()) == ["orders-1"]
        server.grant()
        assert register(server, token=server.token) == 200
        old = server.token
        server.rotate(new_token())
        assert register(server, token=old) == 403
        assert register(server, token=server.token) == 200
        server.kill()
        server.start()
        assert register(server, token=server.token) == 200


@pytest.mark.parametrize("wanted", [False, True])
def test_tls_with_and_without_a_certificate_of_the_client(tmp_path: Path, wanted: bool) -> None:
    authority = Authority(tmp_path)
    mine = authority.sign("mine")
    with Consul(tmp_path, authority=authority, wants_certificate=wanted) as server:
        context = ssl.create_default_context(cafile=authority.certificate)
        if wanted:
            with pytest.raises((ssl.SSLError, ConnectionResetError)):
                ask(server.tls_port, "GET", "/v1/status/leader", context=context)
            context.load_cert_chain(mine.certificate, mine.key)
        assert ask(server.tls_port, "GET", "/v1/status/leader", context=context).status == 200
