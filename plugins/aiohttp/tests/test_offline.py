"""What each kind of connection is told while every app service is offline, until one is online."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
from aiohttp import ClientSession, WSMsgType, hdrs

from plugins.aiohttp.tests.test_draining import ACCEPT, GATE, SETTLE, in_flight, play, shop, until

ENDLESS = {"type": "text/event-stream", "count": "100000"}


async def closes(client: ClientSession, url: str) -> bool:
    """Ask, and tell whether the answer says that it is the last one on its connection."""
    async with client.get(url) as response:
        assert await response.text() == "hello"
        return response.headers.get(hdrs.CONNECTION) == "close"


def kept(client: ClientSession) -> int:
    """Return how many connections the client keeps, as far as they are open."""
    connector = client.connector
    assert connector is not None
    pools = connector._conns.values()
    return sum(handler.is_connected() for pool in pools for handler, _ in pool)


def test_clients_are_told_to_go_until_a_service_is_online(serve: Any) -> None:
    """Each answer says close at once; kept connections end after settle; then they are kept."""

    async def scenario() -> None:
        async with serve(shop()) as served, ClientSession() as idle, ClientSession() as client:
            assert not await closes(idle, served.url)
            assert not await closes(client, served.url)
            served.life.offline()
            assert await closes(client, served.url)
            assert kept(idle) == 1
            await until(lambda: not kept(idle))
            assert await closes(client, served.url)
            assert not served.life.draining

            served.life.online()
            for _ in range(3):
                assert not await closes(client, served.url)
            await asyncio.sleep(2 * SETTLE)
            assert kept(client) == 1

    play(scenario)


def test_websockets_and_event_streams(serve: Any) -> None:
    """They end after settle, and later ones at once; once a service is online they stay."""

    async def scenario() -> None:
        async with serve(shop()) as served, ClientSession() as client:
            url = served.url
            async with (
                client.ws_connect(f"{url}/talk") as socket,
                client.get(f"{url}/stream", params=ENDLESS, headers=ACCEPT) as stream,
            ):
                await stream.content.readline()
                served.life.offline()
                assert (await socket.receive()).type is WSMsgType.CLOSE
                assert socket.close_code == aiohttp.WSCloseCode.GOING_AWAY
                await stream.content.read()
            async with client.ws_connect(f"{url}/talk") as late:
                assert (await late.receive()).type is WSMsgType.CLOSE
            async with client.get(f"{url}/stream", params=ENDLESS, headers=ACCEPT) as late_stream:
                await late_stream.content.read()
            await until(lambda: not in_flight(served.life))

            served.life.online()
            async with client.ws_connect(f"{url}/talk") as stays:
                await asyncio.sleep(2 * SETTLE)
                await stays.send_str("hello")
                assert (await stays.receive()).data == "hello"

    play(scenario)


def test_what_was_under_way_all_the_time(serve: Any) -> None:
    """A request that was there before, and is answered after, keeps its connection."""

    async def scenario() -> None:
        app = shop()
        async with serve(app) as served, ClientSession() as client:
            asking = asyncio.create_task(client.get(f"{served.url}/wait"))
            await until(lambda: in_flight(served.life))
            served.life.offline()
            await asyncio.sleep(2 * SETTLE)
            served.life.online()
            app[GATE].set()
            async with await asking as response:
                assert await response.text() == "waited"
                assert response.headers.get(hdrs.CONNECTION) != "close"
            await asyncio.sleep(2 * SETTLE)
            assert kept(client) == 1

    play(scenario)
