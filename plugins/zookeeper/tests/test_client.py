"""How requests and news get from kazoo's threads to the loop, without a server."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from kazoo import exceptions
from lifecycle_zookeeper.client import WINDOW, Client, named
from lifecycle_zookeeper.errors import ZooKeeperFailed
from lifecycle_zookeeper.options import Options

OPTIONS = Options(url="zookeeper://127.0.0.1:1")


def test_news_of_a_thread_come_in_order_and_one_that_fails_stops_no_other() -> None:
    heard: list[int] = []
    failures: list[dict[str, Any]] = []

    async def play() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, told: failures.append(told))
        client = Client(OPTIONS, lambda *_: None)
        done = asyncio.Event()

        def post() -> None:
            for number in range(1000):
                client._post(lambda number=number: heard.append(number))
                if number == 500:
                    client._post(lambda: 1 // 0)
            client._post(done.set)

        thread = threading.Thread(target=post)
        thread.start()
        async with asyncio.timeout(20):
            await done.wait()
        thread.join()

    asyncio.run(play())
    assert heard == [*range(1000)]
    assert [type(each["exception"]) for each in failures] == [ZeroDivisionError]


def test_a_request_without_a_connection_fails_at_once_and_holds_no_place() -> None:
    """kazoo would keep it, and send it with the next connection."""

    async def play() -> None:
        client = Client(OPTIONS, lambda *_: None)
        for _ in range(2 * WINDOW):
            with pytest.raises(ZooKeeperFailed, match="unreachable: /x: the connection was lost"):
                await client.read("/x")

    asyncio.run(play())


def test_a_client_that_was_never_started_can_be_closed() -> None:
    async def play() -> None:
        client = Client(OPTIONS, lambda *_: None)
        async with asyncio.timeout(20):
            await client.close(10)

    asyncio.run(play())
    assert not [each for each in threading.enumerate() if each.name.startswith("zookeeper")]


STATES = {
    exceptions.NoAuthError(): "forbidden",
    exceptions.InvalidACLError(): "forbidden",
    exceptions.AuthFailedError(): "unauthorized",
    exceptions.SessionClosedRequireSaslError(): "unauthorized",
    exceptions.ConnectionLoss(): "unreachable",
    exceptions.ConnectionClosedError(): "unreachable",
    exceptions.SessionExpiredError(): "unreachable",
    exceptions.OperationTimeoutError(): "slow",
    exceptions.QuotaExceededError(): "refused",
    exceptions.ThrottledOpError(): "refused",
    exceptions.MarshallingError("\x1b[31m"): "refused",
}


@pytest.mark.parametrize("error", STATES, ids=lambda error: type(error).__name__)
def test_each_error_of_kazoo_has_a_name(error: Exception) -> None:
    """With the node, and without anything that a terminal would act on."""
    failed = named(error, "/a/b")
    assert failed.state == STATES[error]
    assert str(failed).startswith(f"{failed.state}: /a/b: ")
    assert str(failed).isprintable()
    assert str(failed.again()) == str(failed)
