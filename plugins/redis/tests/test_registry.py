"""The registry on a server that is up."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from plugins.redis.tests.conftest import Play

KEY = "lifecycle:shop:orders:orders-1/orders"


def test_a_service_is_registered_and_removed(play: Play) -> None:
    """READY comes after the entry. The drain removes it, and both are published."""

    async def scenario(app: Any) -> None:
        with app.server.client() as client, client.pubsub() as pubsub:
            pubsub.psubscribe("lifecycle:*")
            pubsub.get_message(timeout=5)
            async with app.ready():
                ((key, entry),) = app.server.entries().items()
                assert key == KEY
                assert entry["port"] == 8080
                assert entry["service"] == "orders"
                assert 0 < app.server.do("PTTL", key) <= 5000
                assert app.cell()["key"] == key
            assert app.server.entries() == {}
            told = [pubsub.get_message(timeout=5) for _ in range(2)]
            assert [each["data"] for each in told] == ["register", "unregister"]

    play(scenario)


def test_an_entry_is_kept_for_longer_than_it_lives(play: Play) -> None:
    """The key does not expire while the process lives."""

    async def scenario(app: Any) -> None:
        async with app.ready():
            owner = app.server.entries()[KEY]["owner"]
            await asyncio.sleep(6)
            assert app.server.entries()[KEY]["owner"] == owner
            assert app.reasons() == []

    play(scenario)


def test_an_entry_of_another_owner_is_not_replaced_and_not_removed(play: Play) -> None:
    """Another process with this name but another address: an error, until its entry is gone."""

    async def scenario(app: Any) -> None:
        foreign = json.dumps({"owner": "another", "host": "10.9.9.9", "port": 1})
        app.server.do("SET", KEY, foreign)
        async with app.run() as life:
            life.export("orders", port=8080)
            ready = asyncio.ensure_future(life.ready())
            await app.until(lambda: "taken: " in app.cell()["reason"], "it says why")
            life.offline("orders")
            await app.until(lambda: app.cell()["registered"] == "no", "it is out")
            assert app.server.do("GET", KEY) == foreign
            life.online("orders")
            app.server.do("DEL", KEY)
            await app.until(app.server.ports, "it is registered")
            await ready

    play(scenario)


def test_the_entry_of_an_earlier_process_with_this_address_is_replaced(play: Play) -> None:
    """A container that was killed and started again is registered at once."""

    async def scenario(app: Any) -> None:
        async with app.ready():
            earlier = app.server.do("GET", KEY)
        earlier = json.loads(earlier)
        old = json.dumps(earlier | {"owner": "0" * 32}, separators=(",", ":"))
        app.server.do("SET", KEY, old)
        async with app.ready():
            assert app.server.entries()[KEY]["owner"] not in (earlier["owner"], "0" * 32)
            assert app.reasons() == []

    play(scenario)


def test_an_entry_that_another_owner_has_taken_is_not_taken_back(play: Play) -> None:
    """The loss is noticed, and the entry of the other owner stays, in the drain too."""

    async def scenario(app: Any) -> None:
        async with app.ready():
            other = json.dumps(
                app.server.entries()[KEY] | {"owner": "1" * 32}, separators=(",", ":")
            )
            app.server.do("SET", KEY, other)
            await app.until(
                lambda: any("another owner has written" in each for each in app.reasons()),
                "it notices",
            )
            await app.until(lambda: "taken: " in app.cell()["reason"], "it says why")
        assert app.server.do("GET", KEY) == other

    play(scenario)


def test_many_services_need_few_round_trips(play: Play) -> None:
    """Many services are renewed with a few commands a second, on one connection."""

    async def scenario(app: Any) -> None:
        names = [f"s{number}" for number in range(1200)]
        async with app.ready(*names):
            assert len(app.server.entries()) == 1200
            before = app.server.do("INFO", "commandstats")["cmdstat_eval"]["calls"]
            await asyncio.sleep(5)
            after = app.server.do("INFO", "commandstats")["cmdstat_eval"]["calls"]
            assert after - before <= 24
            with app.server.client() as client:
                assert len(client.client_list()) == 2, "ours, and this one"
                ttls = [client.pttl(key) for key in client.keys("lifecycle:*")]
            assert min(ttls) > 2500
        assert app.server.entries() == {}

    play(scenario)
