"""The registry while the server is away, frozen, wiped, or refuses."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import redis

from plugins.redis.tests.conftest import Play
from plugins.redis.tests.server import RedisServer


def test_a_healthy_provider_stays_while_the_server_is_away(play: Play) -> None:
    """Killed for longer than the TTL: unknown, but ready; back soon after the server is."""

    async def scenario(app: Any) -> None:
        async with app.ready() as life:
            app.server.kill()
            await app.until(lambda: "unreachable" in app.cell().get("connection", ""), "noticed")
            assert app.cell()["registered"] == "yes", "the entry may still be alive"
            await app.until(lambda: app.cell()["registered"] == "unknown", "the lease is over")
            assert life.services["orders"].confirmed
            app.server.start()
            began = asyncio.get_running_loop().time()
            await app.until(app.server.ports, "it is back")
            print("back after", asyncio.get_running_loop().time() - began)
            await app.until(lambda: app.cell()["registered"] == "yes", "it knows")
            events = [each["connection"] for each in app.said("redis")]
            assert events == ["lost", "restored"]
            assert not any("lost" in each for each in app.reasons() if "redis" not in each)

    play(scenario)


def test_a_server_that_restarts_empty_gets_the_entries_again(play: Play) -> None:
    """Shorter than the lease: the server says that the key is gone, and it is written again."""

    async def scenario(app: Any) -> None:
        async with app.ready("a", "b"):
            app.server.kill()
            app.server.start()
            began = asyncio.get_running_loop().time()
            await app.until(lambda: len(app.server.ports()) == 2, "they are back")
            print("back after", asyncio.get_running_loop().time() - began)
            assert any("is gone" in each for each in app.reasons())

    play(scenario)


def test_a_server_that_is_wiped_gets_the_entries_again(play: Play) -> None:
    async def scenario(app: Any) -> None:
        async with app.ready("a", "b"):
            await asyncio.sleep(1.5)
            app.server.do("FLUSHALL")
            began = asyncio.get_running_loop().time()
            await app.until(lambda: len(app.server.ports()) == 2, "they are back")
            print("back after", asyncio.get_running_loop().time() - began)

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
            app.server.start()
            await ready
            assert app.server.ports() == [8080]

    play(scenario)


def test_a_frozen_server_takes_nobody_out(play: Play) -> None:
    """It accepts connections and says nothing: slow, and ready all the time."""

    async def scenario(app: Any) -> None:
        async with app.ready() as life:
            app.server.freeze()
            try:
                await app.until(lambda: "slow" in app.cell().get("connection", ""), "it notices")
                assert life.services["orders"].confirmed
            finally:
                app.server.thaw()
            await app.until(lambda: "connection" not in app.cell(), "it is back")
            await app.until(app.server.ports, "it is registered")

    play(scenario)


def test_a_drain_does_not_wait_for_a_server_that_is_away(play: Play) -> None:
    """It ends after register_timeout, and the report names what may still be registered."""

    async def scenario(app: Any) -> None:
        now = asyncio.get_running_loop().time
        async with app.ready(register_timeout=0.5):
            app.server.kill()
            began = now()
        assert now() - began < 10
        (report,) = app.said("drain report")
        assert "orders@redis" in report["unregistered"][0]

    play(scenario)


def test_a_wrong_password_is_told_and_the_file_is_read_again(play: Play, tmp_path: Path) -> None:
    """Not ready with the wrong one. When the file has the right one, READY follows."""

    async def scenario(app: Any) -> None:
        app.server.do("CONFIG", "SET", "requirepass", "right")
        app.server.password = "right"
        secret = tmp_path / "password"
        secret.write_text("wrong\n")
        app.environment.setenv("LIFECYCLE_REDIS_PASSWORD_FILE", str(secret))
        async with app.run() as life:
            life.export("orders", port=8080)
            ready = asyncio.ensure_future(life.ready())
            await app.until(lambda: "unauthorized" in app.cell()["reason"], "it says why")
            assert "wrong" not in app.cell()["reason"].lower().replace("wrongpass", "")
            secret.unlink()
            await app.until(lambda: "no file" in app.cell().get("connection", ""), "no file")
            secret.write_text("right\n")
            await ready
            assert app.server.ports() == [8080]

    play(scenario)


def test_a_server_that_became_a_replica_takes_nobody_out(play: Play) -> None:
    """Demoted, and without the keys: read-only is unknown, and never lost."""

    async def scenario(app: Any) -> None:
        async with app.ready() as life:
            app.server.do("FLUSHALL")
            app.server.do("REPLICAOF", "127.0.0.1", "1")
            await app.until(lambda: "read-only" in app.cell().get("connection", ""), "noticed")
            assert life.services["orders"].confirmed
            app.server.do("REPLICAOF", "NO", "ONE")
            await app.until(app.server.ports, "it is registered")

    play(scenario)


def test_a_server_that_loads_takes_nobody_out(play: Play) -> None:
    """The data are read from the disk: loading is unknown, and never lost."""

    async def scenario(app: Any) -> None:
        async with app.ready() as life:
            slow_to_load(app.server)
            reloading = asyncio.create_task(asyncio.to_thread(app.server.do, "DEBUG", "RELOAD"))
            await app.until(lambda: "loading" in app.cell().get("connection", ""), "noticed")
            assert life.services["orders"].confirmed
            app.server.do("CONFIG", "SET", "key-load-delay", "0")
            await reloading
            await app.until(app.server.ports, "it is registered")
            assert not any(each.startswith("lost") for each in app.reasons())

    play(scenario)


def slow_to_load(server: RedisServer) -> None:
    """Fill a server, so that it takes seconds to read its data."""
    with server.client() as client:
        client.mset({f"x{number}": "x" * 100 for number in range(2000)})
    server.do("CONFIG", "SET", "loading-process-events-interval-bytes", "1024")
    server.do("CONFIG", "SET", "key-load-delay", "2000")


def test_the_second_server_is_used_if_the_first_is_not_there(play: Play, tmp_path: Path) -> None:
    """Two servers in the URL: the one that takes writes is used."""

    async def scenario(app: Any) -> None:
        other = RedisServer(tmp_path)
        url = f"redis://127.0.0.1:{other.port},127.0.0.1:{app.server.port}/0"
        app.environment.setenv("LIFECYCLE_REDIS_URL", url)
        async with app.ready():
            assert app.server.ports() == [8080]
            app.server.kill()
            other.start()
            try:
                await app.until(other.ports, "it is registered there")
            finally:
                other.kill()

    play(scenario)


def test_a_server_whose_memory_is_full_keeps_what_is_registered(play: Play) -> None:
    """Renewed and removed as before. A new service is told that the memory is full."""

    async def scenario(app: Any) -> None:
        async with app.ready("a") as life:
            app.server.do("CONFIG", "SET", "maxmemory", "1mb")
            await asyncio.sleep(6)
            assert app.server.ports() == [8080]
            life.export("b", port=8081)
            await app.until(lambda: "out of memory" in app.cell("b")["reason"], "it says why")
            app.server.do("CONFIG", "SET", "maxmemory", "0")
            await app.until(lambda: len(app.server.ports()) == 2, "it is registered")
            app.server.do("CONFIG", "SET", "maxmemory", "1mb")
        assert app.server.ports() == []

    play(scenario)


def test_a_server_that_a_script_blocks_takes_nobody_out(play: Play) -> None:
    """Busy is unknown, and never lost."""

    async def scenario(app: Any) -> None:
        async with app.ready() as life:
            app.server.do("CONFIG", "SET", "busy-reply-threshold", "100")
            blocking = asyncio.create_task(asyncio.to_thread(block, app.server))
            await app.until(lambda: "busy" in app.cell().get("connection", ""), "it notices")
            assert life.services["orders"].confirmed
            app.server.do("SCRIPT", "KILL")
            await blocking
            await app.until(lambda: "connection" not in app.cell(), "it is back")
            assert app.server.ports() == [8080]

    play(scenario)


def block(server: RedisServer) -> None:
    with contextlib.suppress(redis.ResponseError):
        server.do("EVAL", "while true do end", 0)


def test_a_registration_that_a_frozen_server_has_not_answered_is_removed_too(play: Play) -> None:
    """Offline while the request is on its way: after the freeze, nothing is left of it."""

    async def scenario(app: Any) -> None:
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
                assert app.server.entries() == {}
                life.online("orders")
                await app.until(app.server.ports, "it is back")

    play(scenario)
