"""The registry while the server is away, frozen, wiped, or refuses."""

from __future__ import annotations

import asyncio
import socket
import struct
from pathlib import Path
from typing import Any

from lifecycle.testing import free_port
from plugins.zookeeper.tests.conftest import PATH, Play
from tests.registries.zookeeper import ZooKeeper


def test_a_healthy_provider_stays_while_the_server_is_away(play: Play) -> None:
    """Killed for longer than a session: unknown, but ready; back soon after the server is."""

    async def scenario(app: Any) -> None:
        async with app.ready() as life:
            app.server.kill()
            await app.until(lambda: "unreachable" in app.cell().get("connection", ""), "noticed")
            assert app.cell()["registered"] == "yes", "the session may still be alive"
            await app.until(lambda: app.cell()["registered"] == "unknown", "the session is over")
            assert life.services["orders"].confirmed
            await asyncio.to_thread(app.server.start)
            began = asyncio.get_running_loop().time()
            await app.until(app.paths, "it is back")
            print("back after", asyncio.get_running_loop().time() - began)
            await app.until(lambda: app.cell()["registered"] == "yes", "it knows")
            events = [each["connection"] for each in app.said("zookeeper")]
            assert (events[0], events[-1]) == ("lost", "restored")
            assert life.services["orders"].confirmed
        assert app.paths() == []

    play(scenario)


def test_a_short_outage_keeps_the_session(play: Play) -> None:
    """The server restarts within the session: the same node stays, and nothing is lost."""

    async def scenario(app: Any) -> None:
        app.set(session=30)
        async with app.ready():
            before = app.server.entries()
            app.server.kill()
            await asyncio.to_thread(app.server.start)
            await app.until(lambda: app.said("zookeeper")[-1]["connection"] == "restored", "back")
            assert app.server.entries() == before
            assert not any(each.startswith("lost") for each in app.reasons())
        assert app.paths() == []

    play(scenario)


def test_a_server_that_is_wiped_gets_the_nodes_again(play: Play) -> None:
    """It has seen less than we have. It must not refuse us forever."""

    async def scenario(app: Any) -> None:
        with app.server.client() as client:
            for number in range(50):  # so that the new data are older
                client.create(f"/x{number}")
        async with app.ready("a", "b") as life:
            await asyncio.to_thread(app.server.wipe)
            began = asyncio.get_running_loop().time()
            await app.until(lambda: len(app.paths()) == 2, "they are back")
            print("back after", asyncio.get_running_loop().time() - began)
            assert life.services["a"].confirmed
        assert app.paths() == []

    play(scenario)


def test_a_server_that_is_not_there_at_the_start(play: Play) -> None:
    """Never ready before the registry has acknowledged; READY soon after it comes."""

    async def scenario(app: Any) -> None:
        app.server.kill()
        async with app.run() as life:
            life.export("orders", port=8080)
            ready = asyncio.ensure_future(life.ready())
            await app.until(lambda: "unreachable" in app.cell()["reason"], "it says why")
            await asyncio.sleep(4)
            assert not ready.done()
            await asyncio.to_thread(app.server.start)
            began = asyncio.get_running_loop().time()
            await ready
            print("ready after", asyncio.get_running_loop().time() - began)
            assert app.paths() == [PATH]

    play(scenario)


def test_a_frozen_server_takes_nobody_out(play: Play) -> None:
    """Frozen for longer than a session: unknown, and registered soon after it goes on."""

    async def scenario(app: Any) -> None:
        async with app.ready() as life:
            app.server.freeze()
            try:
                await app.until(lambda: "connection" in app.cell(), "noticed")
                await app.until(lambda: "slow" in app.cell().get("connection", ""), "it says why")
                await asyncio.sleep(5)
                assert life.services["orders"].confirmed
            finally:
                app.server.thaw()
            began = asyncio.get_running_loop().time()
            await app.until(lambda: "connection" not in app.cell(), "it is connected")
            await app.until(lambda: app.cell()["registered"] == "yes", "it is registered")
            print("back after", asyncio.get_running_loop().time() - began)
            assert app.server.entries()[PATH].owner == app.cell()["session"]
        assert app.paths() == []

    play(scenario)


def test_a_drain_does_not_wait_for_a_frozen_server(play: Play) -> None:
    """It ends within register_timeout, and its threads end too. The session ends by itself."""

    async def scenario(app: Any) -> None:
        async with app.ready(register_timeout=1, grace_period=10):
            app.server.freeze()
            began = asyncio.get_running_loop().time()
        lasted = asyncio.get_running_loop().time() - began
        print("drained after", lasted)
        app.server.thaw()
        await app.until(lambda: app.paths() == [], "the session is over")

    play(scenario)


def test_a_server_that_closes_each_connection_is_named(play: Play) -> None:
    """For example a proxy whose server is down."""

    async def scenario(app: Any) -> None:
        with socket.create_server(("127.0.0.1", 0)) as sock:
            sock.setblocking(False)
            loop = asyncio.get_running_loop()

            async def close_all() -> None:
                while True:
                    connection, _ = await loop.sock_accept(sock)
                    connection.close()

            closing = asyncio.create_task(close_all())
            app.set(url=f"zookeeper://127.0.0.1:{sock.getsockname()[1]}")
            async with app.run() as life:
                life.export("orders", port=8080)
                ready = asyncio.ensure_future(life.ready())
                await app.until(lambda: "closed: " in app.cell()["reason"], "it says why")
                ready.cancel()
            closing.cancel()

    play(scenario)


def test_a_client_that_fails_is_replaced(play: Play) -> None:
    """An answer to no question ends kazoo's thread. No traceback is printed, and a new one starts."""

    async def scenario(app: Any) -> None:
        port = free_port()
        connected = struct.pack(">iiqi", 0, 10_000, 1, 16) + b"p" * 16 + b"\0"
        answer = struct.pack(">iqi", 99, 1, 0)

        async def serve(reader: Any, writer: Any) -> None:
            await reader.read(100)
            for each in (connected, answer):
                writer.write(struct.pack(">i", len(each)) + each)
            await reader.read()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", port)
        app.set(url=f"zookeeper://127.0.0.1:{port}")
        async with app.run() as life:
            life.export("orders", port=8080)
            ready = asyncio.ensure_future(life.ready())
            await app.until(lambda: "broken: " in str(app.reasons()), "it says why")
            server.close()
            app.server.kill()
            app.server.port = port
            await asyncio.to_thread(app.server.start)
            await ready
            assert app.paths() == [PATH]
        assert app.paths() == []

    play(scenario)


class WantsLogin(ZooKeeper):
    """A server that refuses clients without a user."""

    def argv(self) -> list[str]:
        java, *words = super().argv()
        wanted = ("enforce.auth.enabled=true", "enforce.auth.schemes=digest")
        return [java, *(f"-Dzookeeper.{each}" for each in wanted), *words]


def test_a_server_that_wants_a_login_is_named(play: Play, tmp_path: Path) -> None:
    """The connection is refused without a user. With one, the registration works."""

    async def scenario(app: Any) -> None:
        folder = tmp_path / "second"
        folder.mkdir()
        with WantsLogin(folder) as server:
            app.set(url=f"zookeeper://127.0.0.1:{server.port}")
            async with app.run() as life:
                life.export("orders", port=8080)
                ready = asyncio.ensure_future(life.ready())
                await app.until(lambda: "unauthorized: " in str(app.reasons()), "it says why")
                ready.cancel()
            app.set(url=f"zookeeper://u:p@127.0.0.1:{server.port}")
            async with app.ready():
                assert list(server.entries()) == [PATH]
            assert list(server.entries()) == []

    play(scenario)


def test_the_second_server_is_used_if_the_first_is_not_there(play: Play) -> None:
    """Two servers in the URL: the one that is there is used."""

    async def scenario(app: Any) -> None:
        app.set(url=f"zookeeper://127.0.0.1:{free_port()},127.0.0.1:{app.server.port}")
        async with app.ready():
            assert app.paths() == [PATH]

    play(scenario)


def test_a_name_without_an_address_is_named(play: Play) -> None:
    async def scenario(app: Any) -> None:
        app.set(url="zookeeper://does-not-exist.invalid")
        async with app.run() as life:
            life.export("orders", port=8080)
            ready = asyncio.ensure_future(life.ready())
            await app.until(lambda: "Cannot resolve" in app.cell()["reason"], "it says why")
            ready.cancel()

    play(scenario)


def test_the_password_is_read_again(play: Play, tmp_path: Path) -> None:
    """Rights are missing until the file has the right password. The registration goes on then."""

    async def scenario(app: Any) -> None:
        folder = tmp_path / "second"
        folder.mkdir()
        with ZooKeeper(folder, user="shop", password="right") as server:
            secret = tmp_path / "password"
            secret.write_text("wr0ng\n")
            app.set(url=f"zookeeper://shop@127.0.0.1:{server.port}", password_file=secret)
            async with app.run() as life:
                life.export("orders", port=8080)
                ready = asyncio.ensure_future(life.ready())
                await app.until(lambda: "forbidden" in app.cell()["reason"], "it says why")
                assert "wr0ng" not in str(app.log)
                secret.write_text("right\n")
                await ready
                assert list(server.entries()) == [PATH]
            assert list(server.entries()) == []

    play(scenario)


def test_a_registration_that_a_frozen_server_has_not_answered_is_removed_too(play: Play) -> None:
    """Offline while the request is on its way: after the freeze, nothing is left of it."""

    async def scenario(app: Any) -> None:
        app.set(session=30)
        async with app.ready() as life:
            for _ in range(3):
                life.offline("orders")
                await app.until(lambda: app.cell()["registered"] == "no", "it is out")
                app.server.freeze()
                try:
                    life.online("orders")
                    await asyncio.sleep(0.3)
                    life.offline("orders")
                    await asyncio.sleep(1.5)
                finally:
                    app.server.thaw()
                await app.until(lambda: app.cell()["registered"] == "no", "it is out again")
                assert app.paths() == []
                life.online("orders")
                await app.until(app.paths, "it is back")

    play(scenario)
