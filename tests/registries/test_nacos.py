"""The Nacos server of the tests."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.process.waiting import wait_for
from tests.registries.building import LONGEST
from tests.registries.http_client import Answer, ask
from tests.registries.nacos import OFFSETS, Nacos

pytestmark = pytest.mark.timeout(LONGEST)
KEY = "DEFAULT_GROUP@@orders 10.0.0.7:80"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nacos]:
    """One for all tests, because it is slow to start."""
    with Nacos(tmp_path_factory.mktemp("nacos")) as server:
        yield server


@pytest.fixture(autouse=True)
def _clean(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "server" in request.fixturenames:
        server = request.getfixturevalue("server")
        for key in server.everything():
            server.remove(key)


def send(server: Nacos, method: str, path: str, **fields: Any) -> Answer:
    return ask(server.port, method, f"/nacos/v1/{path}?{urlencode(fields)}")


def register(server: Nacos, **fields: Any) -> Answer:
    address = {"serviceName": "orders", "ip": "10.0.0.7", "port": 80, "ephemeral": "true"}
    return send(server, "POST", "ns/instance", **address, **fields)


def token(server: Nacos, password: str) -> str:
    answer = send(server, "POST", "auth/login", username=server.user, password=password)
    return str(answer.body["accessToken"]) if answer.status == 200 else ""


def test_an_entry_is_listed_while_its_beats_come(server: Nacos) -> None:
    """Without beats, it is first kept from consumers, and then removed."""
    times = {"interval": 500, "timeout": 1000}
    times = {f"preserved.heart.beat.{key}": value for key, value in times.items()}
    times["preserved.ip.delete.timeout"] = 9000
    assert register(server, metadata=json.dumps(times)).body == "ok"
    assert list(server.entries()) == [KEY]
    wait_for(lambda: not server.entries(), 20, "consumers no longer see it")
    assert list(server.everything()) == [KEY]
    wait_for(lambda: not server.everything(), 30, "it is removed")


def test_a_restart_loses_the_instances_and_keeps_what_is_published(server: Nacos) -> None:
    register(server)
    published = {"dataId": "greeter", "group": "mapping", "content": "shop"}
    assert send(server, "POST", "cs/configs", **published).body is True
    server.kill()
    server.start()
    assert server.everything() == {}
    assert server.config("greeter", "mapping") == "shop"
    server.wipe()
    assert server.config("greeter", "mapping") == ""


def test_a_frozen_server_does_not_answer(server: Nacos) -> None:
    server.freeze()
    with pytest.raises(TimeoutError):
        ask(server.port, "GET", "/nacos/v1/ns/operator/metrics", timeout=0.5)
    server.thaw()
    assert server.entries() == {}


def test_an_entry_is_taken_by_another_process_and_removed(server: Nacos) -> None:
    register(server)
    server.take(KEY, "theirs")
    assert "theirs" in server.entries()[KEY].value
    server.remove(KEY)
    wait_for(lambda: not server.everything(), 10, "it is removed")


def test_the_ports_that_follow_from_the_first_one_are_open(server: Nacos) -> None:
    """A Java client finds gRPC at a fixed distance from the port of HTTP."""
    for offset in OFFSETS:
        socket.create_connection(("127.0.0.1", server.port + offset), 5).close()


def test_only_the_user_may_register_until_its_rights_are_revoked(tmp_path: Path) -> None:
    with Nacos(tmp_path, user="shop", password="secret") as server:
        assert register(server).status == 403
        assert register(server, accessToken=token(server, "secret")).status == 200
        server.revoke()
        assert register(server, accessToken=token(server, "secret")).status == 403
        assert list(server.entries()) == [KEY]
        server.grant()
        server.rotate("other")
        wait_for(lambda: not token(server, "secret"), 30, "the old password is refused")
        assert register(server, accessToken=token(server, "other")).status == 200
        server.kill()
        server.start()
        assert register(server, accessToken=token(server, "other")).status == 200
