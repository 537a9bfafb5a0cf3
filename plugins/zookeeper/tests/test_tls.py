"""TLS with client certificates."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from plugins.zookeeper.tests.conftest import PATH, App, Play
from plugins.zookeeper.tests.relay import Relay
from tests.registries.certificates import Authority
from tests.registries.zookeeper import ZooKeeper


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "ours")


@pytest.fixture
def server(tmp_path: Path, authority: Authority) -> Iterator[ZooKeeper]:
    """A server with TLS, which wants a client certificate."""
    with ZooKeeper(tmp_path, authority=authority, wants_certificate=True) as server:
        yield server


def configure(app: App, authority: Authority, ca: Path, host: str = "127.0.0.1") -> None:
    mine = authority.sign("mine")
    app.set(
        url=f"zookeepers://{host}:{app.server.tls_port}",
        ca_file=ca,
        certificate_file=mine.certificate,
        key_file=mine.key,
    )


def test_a_server_of_another_authority_is_not_trusted(play: Play, authority: Authority) -> None:
    """The file with the authority is read again: READY when it has the right one."""

    async def scenario(app: Any) -> None:
        ca = authority.folder / "mounted.crt"
        ca.write_bytes(Authority(authority.folder / "other").certificate.read_bytes())
        configure(app, authority, ca)
        async with app.run() as life:
            life.export("orders", port=8080)
            ready = asyncio.ensure_future(life.ready())
            await app.until(lambda: "untrusted" in app.cell()["reason"], "it says why")
            ca.unlink()
            await app.until(lambda: "no file" in app.cell().get("connection", ""), "no file")
            ca.write_bytes(authority.certificate.read_bytes())
            await ready
            assert app.paths() == [PATH]
        assert app.paths() == []

    play(scenario)


def test_a_client_without_a_certificate_is_refused(play: Play, authority: Authority) -> None:
    async def scenario(app: Any) -> None:
        app.set(url=f"zookeepers://127.0.0.1:{app.server.tls_port}", ca_file=authority.certificate)
        async with app.run() as life:
            life.export("orders", port=8080)
            ready = asyncio.ensure_future(life.ready())
            await app.until(lambda: app.cell()["reason"], "it says why")
            assert app.cell()["reason"].startswith(("untrusted: ", "closed: "))
            ready.cancel()

    play(scenario)


def test_a_name_of_the_certificate_is_trusted(play: Play, authority: Authority) -> None:
    """The certificate is for 127.0.0.1 and localhost."""

    async def scenario(app: Any) -> None:
        configure(app, authority, authority.certificate, "localhost")
        async with app.ready():
            assert app.paths() == [PATH]

    play(scenario)


def test_another_name_is_not_trusted(play: Play, authority: Authority) -> None:
    """The same server at an address that the certificate does not have."""

    async def scenario(app: Any) -> None:
        async with Relay(app.server.tls_port, "127.0.0.2", app.server.tls_port):
            configure(app, authority, authority.certificate, "127.0.0.2")
            async with app.run() as life:
                life.export("orders", port=8080)
                ready = asyncio.ensure_future(life.ready())
                await app.until(lambda: "untrusted: " in app.cell()["reason"], "it says why")
                assert "mismatch" in app.cell()["reason"]
                ready.cancel()
        assert app.paths() == []

    play(scenario)


def test_many_services_over_tls(play: Play, authority: Authority) -> None:
    """Several answers in one TLS record are all read at once."""

    async def scenario(app: Any) -> None:
        configure(app, authority, authority.certificate)
        names = [f"s{number}" for number in range(200)]
        async with app.ready(*names, register_timeout=10):
            assert len(app.paths()) == 200
        assert app.paths() == []

    play(scenario)
