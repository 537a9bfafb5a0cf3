"""The registry on a server that is up."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from plugins.zookeeper.tests.conftest import PATH, SESSION, Play
from plugins.zookeeper.tests.relay import Relay


def test_a_service_is_registered_and_removed(play: Play) -> None:
    """READY comes after the node, which belongs to our session. The drain removes it."""

    async def scenario(app: Any) -> None:
        async with app.ready() as life:
            ((path, entry),) = app.server.entries().items()
            assert path == PATH
            assert entry.owner == app.cell()["session"]
            assert app.cell()["path"] == PATH
            assert json.loads(entry.value) == {
                "host": "10.0.0.7",
                "port": 8080,
                "service": "orders",
                "id": "orders-1/orders",
                "protocol": "",
                "version": "",
                "metadata": {},
            }
            assert life.services["orders"].confirmed
        assert app.paths() == []
        assert app.reasons() == []

    play(scenario)


def test_a_node_is_kept_for_longer_than_a_session_lasts_without_a_client(play: Play) -> None:
    """The session is kept alive by the client, and nothing is lost."""

    async def scenario(app: Any) -> None:
        async with app.ready():
            before = app.server.entries()
            await asyncio.sleep(SESSION + 2)
            assert app.server.entries() == before
            assert app.reasons() == []

    play(scenario)


def test_a_node_of_another_owner_is_not_replaced_and_not_removed(play: Play) -> None:
    """Another process with this name but another address: an error, until its node is gone."""

    async def scenario(app: Any) -> None:
        with app.server.client() as client:
            for each in ("/lifecycle", "/lifecycle/shop", "/lifecycle/shop/orders"):
                client.create(each)
        app.server.take(PATH, '{"host":"10.9.9.9","port":8080}')
        async with app.run() as life:
            life.export("orders", port=8080)
            ready = asyncio.ensure_future(life.ready())
            await app.until(lambda: "taken: " in app.cell()["reason"], "it says why")
            life.offline("orders")
            await app.until(lambda: app.cell()["registered"] == "no", "it is out")
            assert "10.9.9.9" in app.server.entries()[PATH].value
            life.online("orders")
            await app.until(lambda: "taken: " in app.cell()["reason"], "it says why again")
            app.server.remove(PATH)
            await app.until(lambda: app.cell()["registered"] == "yes", "it is registered")
            await ready
            assert app.server.entries()[PATH].owner == app.cell()["session"]

    play(scenario)


def test_a_node_that_stays_is_never_replaced(play: Play) -> None:
    """A node without a session belongs to a person."""

    async def scenario(app: Any) -> None:
        value = b'{"host":"10.0.0.7","port":8080}'
        with app.server.client() as client:
            for each in ("/lifecycle", "/lifecycle/shop", "/lifecycle/shop/orders"):
                client.create(each)
            client.create(PATH, value)
            async with app.run() as life:
                life.export("orders", port=8080)
                ready = asyncio.ensure_future(life.ready())
                await app.until(lambda: "taken: " in app.cell()["reason"], "it says why")
                ready.cancel()
            assert client.get(PATH).data == value

    play(scenario)


def test_the_node_of_an_earlier_process_with_this_address_is_taken_over(play: Play) -> None:
    """A container that was killed and started again is registered at once, in its own session."""

    async def scenario(app: Any) -> None:
        async with app.ready():
            earlier = app.server.entries()[PATH].value
        app.server.take(PATH, earlier)
        other = app.server.entries()[PATH].owner
        async with app.ready():
            owner = app.server.entries()[PATH].owner
            assert owner == app.cell()["session"] != other
            assert app.reasons() == []
        assert app.paths() == []

    play(scenario)


def test_a_node_that_another_owner_has_taken_is_not_taken_back(play: Play) -> None:
    """The loss is noticed at once, and the node of the other owner stays, in the drain too."""

    async def scenario(app: Any) -> None:
        async with app.ready():
            same_address = app.server.entries()[PATH].value
            app.server.take(PATH, same_address)
            other = app.server.entries()[PATH]
            await app.until(
                lambda: any("another owner has written" in each for each in app.reasons()),
                "it notices",
            )
            await app.until(lambda: "taken: " in app.cell()["reason"], "it says why")
        assert app.server.entries()[PATH] == other

    play(scenario)


def test_a_node_that_was_removed_is_written_again(play: Play) -> None:
    """The watch tells the loss at once."""

    async def scenario(app: Any) -> None:
        async with app.ready():
            app.server.remove(PATH)
            await app.until(app.paths, "it is back")
            await app.until(lambda: app.cell()["registered"] == "yes", "it knows")
            assert any("is gone" in each for each in app.reasons())

    play(scenario)


def test_many_services_have_one_session(play: Play) -> None:
    """One connection, and nothing but pings while nothing changes."""

    async def scenario(app: Any) -> None:
        names = [f"s{number}" for number in range(1000)]
        async with app.ready(*names, register_timeout=20):
            entries = app.server.entries()
            assert len(entries) == 1000
            assert {each.owner for each in entries.values()} == {app.cell("s1")["session"]}
            assert app.reasons() == []
        assert app.paths() == []

    play(scenario)


def test_everything_is_written_below_the_path_of_the_url(play: Play) -> None:
    """The path is created, and so is a namespace of its own."""

    async def scenario(app: Any) -> None:
        app.set(url=f"zookeeper://127.0.0.1:{app.server.port}/a/b?namespace=n%20s")
        async with app.ready("v1/orders"):
            assert app.paths() == ["/a/b/lifecycle/n%20s/v1%2Forders/orders-1"]

    play(scenario)


def test_an_ipv6_address_of_a_server_is_used(play: Play) -> None:
    """In brackets, with a port."""

    async def scenario(app: Any) -> None:
        async with Relay(app.server.port, "::1") as relay:
            app.set(url=f"zookeeper://[::1]:{relay.port}")
            async with app.ready():
                assert app.paths() == [PATH]
                assert relay.opened == 1

    play(scenario)
