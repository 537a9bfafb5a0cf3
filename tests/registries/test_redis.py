"""The Redis server of the tests."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.exceptions import NoPermissionError
from redis.retry import Retry

from tests.process.waiting import wait_for
from tests.registries.certificates import Authority
from tests.registries.redis import Redis
from tests.registries.server import Entry


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Redis]:
    with Redis(tmp_path) as server:
        yield server


def connect(port: int, **given: Any) -> redis.Redis:
    return redis.Redis(port=port, retry=Retry(NoBackoff(), 0), **given)


def test_an_entry_is_listed_until_it_expires(server: Redis) -> None:
    server.do("SET", "orders", "10.0.0.7:80", "PX", 500)
    server.do("HSET", "hash", "a field", "1")
    entries = {"orders": Entry("10.0.0.7:80", "expires"), "hash a field": Entry("1")}
    assert server.entries() == entries
    wait_for(lambda: list(server.entries()) == ["hash a field"], 10, "it has expired")


def test_the_data_survive_a_kill_and_do_not_survive_a_wipe(server: Redis) -> None:
    server.do("SET", "orders", "here")
    server.kill()
    server.start()
    assert server.entries() == {"orders": Entry("here")}
    server.stop()
    server.start()
    assert list(server.entries()) == ["orders"]
    server.wipe()
    assert server.entries() == {}


def test_a_frozen_server_does_not_answer(server: Redis) -> None:
    server.freeze()
    with connect(server.port, socket_timeout=0.5) as client:
        with pytest.raises(redis.TimeoutError):
            client.ping()
    server.thaw()
    assert server.entries() == {}


@pytest.mark.parametrize("key", ["orders", "hash field"])
def test_an_entry_is_taken_by_another_process_and_removed(server: Redis, key: str) -> None:
    server.take(key, "ours")
    server.take(key, "theirs")
    assert server.entries() == {key: Entry("theirs")}
    server.remove(key)
    assert server.entries() == {}


def test_only_the_user_may_write_until_its_rights_are_revoked(tmp_path: Path) -> None:
    """An open connection loses its rights too. The old password of a rotation is refused."""
    with Redis(tmp_path, user="shop", password="secret") as server:
        with connect(server.port) as anybody:
            with pytest.raises(redis.AuthenticationError):
                anybody.set("a", "b")
        with connect(server.port, username="shop", password="secret") as client:
            client.set("orders", "here")
            server.revoke()
            with pytest.raises(NoPermissionError):
                client.set("orders", "there")
            server.grant()
            client.set("orders", "there")
            server.rotate("other")
            client.connection_pool.disconnect()
            with pytest.raises(redis.AuthenticationError):
                client.set("orders", "there")
        server.kill()
        server.start()
        with connect(server.port, username="shop", password="other") as client:
            assert client.get("orders") == b"there"


def test_tls_with_a_certificate_of_the_client(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    mine = authority.sign("mine")
    ca = {"ssl": True, "ssl_ca_certs": str(authority.certificate)}
    files = {"ssl_certfile": str(mine.certificate), "ssl_keyfile": str(mine.key)}
    with Redis(tmp_path, authority=authority, wants_certificate=True) as server:
        with connect(server.tls_port, **ca) as client:
            with pytest.raises((redis.ConnectionError, ssl.SSLError)):
                client.ping()
        with connect(server.tls_port, **ca, **files) as client:
            client.set("orders", "here")
        assert list(server.entries()) == ["orders"]
