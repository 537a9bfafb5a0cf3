"""TLS with client certificates, and Sentinel."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from plugins.redis.tests.conftest import App, Play
from plugins.redis.tests.server import RedisServer


def make_authority(folder: Path, name: str) -> None:
    """Make an authority NAME.crt, and a server certificate for 127.0.0.1 that it signs."""
    new = "openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
    ca = f"{new} -x509 -days 2 -subj /CN={name} -keyout {name}.key -out {name}.crt"
    request = f"{new} -subj /CN=redis -keyout {name}-server.key -out {name}.csr"
    sign = (
        f"openssl x509 -req -days 2 -in {name}.csr -CA {name}.crt -CAkey {name}.key "
        f"-CAcreateserial -extfile {name}.ext -out {name}-server.crt"
    )
    (folder / f"{name}.ext").write_text("subjectAltName=IP:127.0.0.1\n")
    for words in (ca, request, sign):
        subprocess.run(words.split(), cwd=folder, check=True, capture_output=True)


@pytest.fixture
def tls(tmp_path: Path) -> Iterator[RedisServer]:
    """A server with TLS, which wants a client certificate."""
    make_authority(tmp_path, "ours")
    make_authority(tmp_path, "other")
    files = ("ours-server.crt", "ours-server.key", "ours.crt")
    names = ("--tls-cert-file", "--tls-key-file", "--tls-ca-cert-file")
    words = [word for pair in zip(names, files, strict=True) for word in pair]
    server = RedisServer(tmp_path, *words)
    with contextlib.closing(server_socket()) as sock:
        server.tls_port = sock.getsockname()[1]
    server.words = (*words, "--tls-port", str(server.tls_port))
    server.start()
    yield server
    server.kill()


def server_socket() -> Any:
    import socket

    return socket.create_server(("127.0.0.1", 0))


def configure(app: App, tls: RedisServer, ca: Path, certificate: str) -> None:
    folder = tls.folder
    app.server.kill()
    app.server = tls
    app.environment.setenv("LIFECYCLE_REDIS_URL", f"rediss://127.0.0.1:{tls.tls_port}")
    app.environment.setenv("LIFECYCLE_REDIS_CA_FILE", str(ca))
    app.environment.setenv("LIFECYCLE_REDIS_CERTIFICATE_FILE", f"{folder}/{certificate}.crt")
    app.environment.setenv("LIFECYCLE_REDIS_KEY_FILE", f"{folder}/{certificate}.key")


def test_a_server_of_another_authority_is_not_trusted(play: Play, tls: RedisServer) -> None:
    """The file with the authority is read again: READY when it has the right one."""

    async def scenario(app: App) -> None:
        ca = tls.folder / "mounted.crt"
        ca.write_bytes((tls.folder / "other.crt").read_bytes())
        configure(app, tls, ca, "ours-server")
        async with app.run() as life:
            life.export("orders", port=8080)
            ready = asyncio.ensure_future(life.ready())
            await app.until(lambda: "untrusted" in app.cell()["reason"], "it says why")
            ca.write_bytes((tls.folder / "ours.crt").read_bytes())
            await ready
            assert tls.ports() == [8080]
        assert tls.ports() == []

    play(scenario)


def test_the_host_name_is_checked(play: Play, tls: RedisServer) -> None:
    """The certificate is for 127.0.0.1, and not for localhost."""

    async def scenario(app: App) -> None:
        configure(app, tls, tls.folder / "ours.crt", "ours-server")
        url = f"rediss://localhost:{tls.tls_port}"
        app.environment.setenv("LIFECYCLE_REDIS_URL", url)
        async with app.run() as life:
            life.export("orders", port=8080)
            ready = asyncio.ensure_future(life.ready())
            await app.until(lambda: "untrusted" in app.cell()["reason"], "it says why")
            ready.cancel()

    play(scenario)


def test_sentinel_names_the_master(play: Play, tmp_path: Path) -> None:
    """The servers of the URL are Sentinels, and the entry is written to the master."""

    async def scenario(app: App) -> None:
        folder = tmp_path / "sentinel"
        folder.mkdir()
        sentinel = RedisServer(folder)
        config = folder / "sentinel.conf"
        config.write_text(
            f"port {sentinel.port}\nbind 127.0.0.1\ndir {folder}\n"
            f"sentinel monitor main 127.0.0.1 {app.server.port} 1\n"
        )
        sentinel.argv = [str(config), "--sentinel"]
        sentinel.start()
        try:
            url = f"redis://127.0.0.1:{sentinel.port}/0?sentinel=main"
            app.environment.setenv("LIFECYCLE_REDIS_URL", url)
            async with app.ready():
                assert app.server.ports() == [8080]
            wrong = url.replace("main", "another")
            app.environment.setenv("LIFECYCLE_REDIS_URL", wrong)
            async with app.run() as life:
                life.export("orders", port=8080)
                ready = asyncio.ensure_future(life.ready())
                await app.until(lambda: "no master" in app.cell()["reason"], "it says why")
                ready.cancel()
        finally:
            sentinel.kill()

    play(scenario)
