"""A server that closes while the process has hardly a descriptor left."""

from __future__ import annotations

import asyncio
import contextlib
import encodings.idna  # noqa: F401 - while there are descriptors to import it
import os
import resource
import signal
import socket
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop

from lifecycle.serving.sockets import PathSocket
from tests.process.kit import App, wait_for
from tests.process.rollout import run_asgi
from tests.process.serving import client_side, hello, server_side, serving

CROWD = 60
FREE = 5
TIME = 10.0
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
Run = Callable[[Coroutine[Any, Any, Any]], Any]
RUNS: dict[str, Run] = {"asyncio": asyncio.run, "uvloop": uvloop.run}


@contextlib.contextmanager
def few_descriptors(free: int = FREE) -> Iterator[None]:
    """Leave so many descriptors to this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(name) for name in os.listdir("/proc/self/fd"))
    taken = [os.dup(0)]
    while taken[-1] < highest or len(taken) < free:
        taken.append(os.dup(0))
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (taken[-1] + 1, hard))
        for _ in range(free):
            os.close(taken.pop())
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for each in taken:
            os.close(each)


@pytest.fixture(params=["tcp", "unix"])
def crowd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Any, list[Any]]]:
    """Have a listener, and a crowd in its queue."""
    with contextlib.ExitStack() as stack:
        if request.param == "tcp":
            listener = socket.create_server(("127.0.0.1", 0), backlog=CROWD)
        else:
            listener = PathSocket(socket.AF_UNIX, socket.SOCK_STREAM)
            listener.bind(str(tmp_path / "sock"))
            listener.listen(CROWD)
        clients = [stack.enter_context(socket.socket(listener.family)) for _ in range(CROWD)]
        for client in clients:
            client.connect(listener.getsockname())
        yield listener, clients


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("loop", RUNS)
def test_who_waits_to_be_accepted_is_served_as_others_end(
    loop: str, tls: bool, crowd: tuple[Any, list[Any]]
) -> None:
    """Nobody is lost, however many more they are than can be accepted at once."""
    listener, clients = crowd

    async def ask(client: socket.socket) -> bytes:
        secure: dict[str, Any] = {"ssl": client_side(), "server_hostname": "a"} if tls else {}
        reader, writer = await asyncio.open_connection(sock=client, **secure)
        writer.write(REQUEST)
        try:
            return await reader.read()
        finally:
            writer.close()

    async def scenario() -> list[bytes]:
        lost: list[int] = []
        side = server_side() if tls else None
        async with serving(sock=listener, tls=side, lost=lost.append) as (server, _):
            with few_descriptors():
                server.stop_listening()  # before the loop has accepted anybody
                closing = asyncio.create_task(server.close(TIME))
                answers = await asyncio.gather(*map(ask, clients))
                await closing
        assert lost == []
        return answers

    answers = RUNS[loop](scenario())
    assert [each.endswith(b"hello") for each in answers] == [True] * CROWD


@pytest.mark.parametrize("leaves", ["a descriptor", "none"])
@pytest.mark.parametrize("loop", RUNS)
def test_who_is_lost_is_counted(loop: str, leaves: str, crowd: tuple[Any, list[Any]]) -> None:
    """Those that have been accepted take all the time there is, and then it is over."""
    listener, clients = crowd
    for client in clients:
        client.sendall(REQUEST)

    async def never(*_: Any) -> None:
        await asyncio.Event().wait()

    async def scenario() -> list[int]:
        lost: list[int] = []
        free = FREE if leaves == "a descriptor" else 0
        async with serving(never, sock=listener, lost=lost.append) as (server, _):
            with few_descriptors(free):
                await server.close(0.5)
        return lost

    unknown = leaves == "none" and listener.family == socket.AF_UNIX
    served = FREE if leaves == "a descriptor" else 0
    assert RUNS[loop](scenario()) == ([] if unknown else [CROWD - served])


def test_who_comes_while_the_rest_is_accepted_has_no_more_time_than_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A connection that never asks is cut in its time, and does not keep a server till the end."""
    monkeypatch.setattr("lifecycle.serving.connection_table.NEW_TIME", 0.2)

    async def scenario() -> float:
        listener = socket.create_server(("127.0.0.1", 0), backlog=CROWD)
        clients = [socket.create_connection(listener.getsockname()) for _ in range(2 * FREE)]
        loop = asyncio.get_running_loop()
        async with serving(hello, sock=listener) as (server, _):
            with few_descriptors():
                began = loop.time()
                await server.close(3 * TIME)
                took = loop.time() - began
        for client in clients:
            client.close()
        return took

    assert asyncio.run(scenario()) < TIME


@pytest.mark.parametrize("of", [None, "QOS"])
def test_the_log_says_how_many_are_lost(of: str | None, start: Callable[..., App]) -> None:
    """Where an app has taken every descriptor there is, and keeps them to the end."""
    app = run_asgi(start, settle=0.1, quiet=0.1, grace_period=4, stop_timeout=1)
    # What writes the log is imported at the first event.
    wait_for(lambda: bool(app.events("ready")), TIME, lambda: app.stderr)
    _, hard = resource.prlimit(app.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(app.process.pid, resource.RLIMIT_NOFILE, (3, hard))
    with contextlib.ExitStack() as stack:
        for _ in range(FREE):
            address = ("127.0.0.1", app.qos if of else app.port)
            stack.enter_context(socket.create_connection(address)).sendall(REQUEST)
        app.signal(signal.SIGTERM)
        app.wait(TIME)
    lost = app.events("clients lost")
    assert [(each["count"], each.get("port")) for each in lost] == [(FREE, of)]
