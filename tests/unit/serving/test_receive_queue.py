"""What a client has sent to one request, until the app asks for it."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.serving.receive_queue import Message, ReceiveQueue

GONE = {"type": "http.disconnect"}


def part(body: bytes, *, more: bool = True) -> Message:
    """Return a part of a body."""
    return {"type": "http.request", "body": body, "more_body": more}


def text(said: str) -> Message:
    """Return a WebSocket's message."""
    return {"type": "websocket.receive", "bytes": None, "text": said}


def test_a_body_comes_together() -> None:
    """Parts that nobody has read yet are one, and the last of them says so."""

    async def scenario() -> list[Message]:
        inbox = ReceiveQueue("http")
        for body in (b"a", b"b"):
            await inbox.put(part(body))
        first = await inbox.get()
        await inbox.put(part(b"c"))
        await inbox.put(part(b"", more=False))
        return [first, await inbox.get()]

    assert asyncio.run(scenario()) == [part(b"ab"), part(b"c", more=False)]


def test_a_request_without_a_body() -> None:
    """It is one empty part, and nothing more until the client is gone."""

    async def scenario() -> None:
        inbox = ReceiveQueue("http")
        await inbox.put(part(b"", more=False))
        assert await inbox.get() == part(b"", more=False)
        later = asyncio.create_task(inbox.get())
        await asyncio.sleep(0)
        assert not later.done()
        inbox.disconnect()
        assert await later == GONE

    asyncio.run(scenario())


@pytest.mark.parametrize("end", ["disconnect", "discard", "put"])
def test_what_is_over_holds_nobody(end: str) -> None:
    """Who waits for room goes on once the request is over, and so does who puts more."""

    async def scenario() -> None:
        inbox = ReceiveQueue("http", most=10)
        putting = asyncio.create_task(inbox.put(part(b"x" * 11)))
        await asyncio.sleep(0)
        assert not putting.done()
        if end == "put":
            await inbox.put(GONE)
        else:
            getattr(inbox, end)()
        await putting
        for _ in range(100):
            await inbox.put(part(b"x" * 1000))
        got = [await inbox.get() for _ in range(3)]
        unread = [] if end == "discard" else [part(b"x" * 11)]
        assert got == (unread + [GONE] * 3)[:3]

    asyncio.run(scenario())


def test_room_is_made_by_reading() -> None:
    """Who puts waits while more than the limit waits, and not longer."""

    async def scenario() -> None:
        inbox = ReceiveQueue("websocket", most=1000)
        await inbox.put(text("x" * 100))
        await inbox.put(text("y" * 100))
        putting = asyncio.create_task(inbox.put(text("z" * 1000)))
        await asyncio.sleep(0)
        for _ in range(3):
            assert not putting.done()
            await inbox.get()
        await putting

    asyncio.run(scenario())


def test_asking_for_what_has_not_come() -> None:
    """The first who asks for what is not there has the client asked, once."""
    asked = []

    async def scenario() -> None:
        async def ask() -> None:
            asked.append(1)
            await inbox.put(part(b"x"))

        inbox = ReceiveQueue("http", asked=ask)
        assert await inbox.get() == part(b"x")
        inbox.disconnect()
        await inbox.get()

    asyncio.run(scenario())
    assert asked == [1]


def test_asking_for_ever() -> None:
    """An app that asks again and again after the end lets others go on."""

    async def scenario() -> None:
        inbox = ReceiveQueue("http")
        inbox.disconnect()

        async def ask() -> None:
            while True:
                await inbox.get()

        asking = asyncio.create_task(ask())
        for _ in range(3):
            await asyncio.sleep(0)
        asking.cancel()

    asyncio.run(scenario())


@given(st.lists(st.one_of(st.binary(max_size=50), st.just("get")), max_size=30), st.booleans())
def test_every_byte_is_given_back_once(steps: list[bytes | str], answered: bool) -> None:
    """What is charged is given back exactly once: when it is read, or thrown away."""
    taken: list[int] = []

    async def scenario() -> int:
        charged = 0
        inbox = ReceiveQueue("http", most=None, taken=taken.append)
        for step in steps:
            if step == "get":
                if not inbox.empty:
                    await inbox.get()
                    assert sum(taken) == charged
            else:
                assert isinstance(step, bytes)
                await inbox.put(part(step))
                inbox.charge(len(step))
                charged += len(step)
        if answered:
            inbox.discard()
            inbox.charge(7)
            charged += 7
        else:
            inbox.disconnect()
            while not inbox.empty:
                await inbox.get()
        return charged

    assert asyncio.run(scenario()) == sum(taken)
