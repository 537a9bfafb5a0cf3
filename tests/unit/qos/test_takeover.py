"""A lifecycle that starts while another worker of the same server still has its QOS port."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

import pytest

from lifecycle import Config, Lifecycle, PortUnavailable
from lifecycle.qos import takeover
from lifecycle.qos.port_holder import PortHolder, PortTaken, is_fellow, lives
from lifecycle.qos.takeover import start_after


async def started_after(life: Lifecycle, patience: float) -> None:
    """Start a lifecycle, after another worker of the same server if need be."""
    await start_after(life.__aenter__, life.config.qos_port, patience, life.log)


@pytest.fixture
def taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> socket.socket:
    """A port that somebody listens on, and who is taken for another worker."""
    monkeypatch.setenv("LIFECYCLE_RUN_DIR", str(tmp_path))
    monkeypatch.setattr(takeover, "is_fellow", lambda _: True)
    with socket.create_server(("", 0)) as listener:
        yield listener


def _life(taken: socket.socket) -> Lifecycle:
    return Lifecycle(Config(qos_port=taken.getsockname()[1], settle=0, quiet=0))


def test_it_waits_until_the_port_is_given_back(taken: socket.socket) -> None:
    """And holds nobody's loop meanwhile: it is a task of this loop that gives the port back."""

    async def scenario() -> None:
        life = _life(taken)
        starting = asyncio.create_task(started_after(life, 20))
        for _ in range(20):
            await asyncio.sleep(0.01)
        assert not starting.done()
        taken.close()
        await asyncio.wait_for(starting, 20)
        assert life.qos_url.endswith(str(life.config.qos_port))
        await life.__aexit__(None, None, None)

    asyncio.run(scenario())


def test_it_is_refused_when_its_time_is_over(taken: socket.socket) -> None:
    """The error names who has the port, how long was waited and why, and what to do."""
    life = _life(taken)
    with pytest.raises(PortUnavailable, match="This process already") as refused:
        asyncio.run(started_after(life, 0.1))

    assert life.log._writer is None  # no thread is left, either
    said = str(refused.value)
    assert "waited 0.1 s" in said
    assert "recycles its workers" in said
    assert "recycle_timeout" in said


def test_it_does_not_wait_for_anybody_else(
    taken: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is no worker of the same server does not end because this one starts."""
    monkeypatch.setattr(takeover, "is_fellow", is_fellow)

    with pytest.raises(PortUnavailable, match="This process already uses the port") as refused:
        asyncio.run(started_after(_life(taken), 3600))
    assert "waited" not in str(refused.value)


@pytest.mark.parametrize("gap", [True, False], ids=["free for a moment", "in use all the time"])
def test_a_stranger_takes_the_port_meanwhile(
    taken: socket.socket, monkeypatch: pytest.MonkeyPatch, *, gap: bool
) -> None:
    """It is refused for that one, and at once: nothing is said of workers that are recycled."""
    worker, stranger = PortHolder(1, 2, "a worker"), PortHolder(3, 4, "a stranger")
    tried: list[PortTaken] = []
    monkeypatch.setattr(takeover, "is_fellow", lambda each: each is worker)
    monkeypatch.setattr(takeover, "lives", lambda each: gap or each is not worker, raising=False)
    if gap:
        monkeypatch.setattr(takeover, "is_listening", lambda _: False)

    async def refuse(_: Lifecycle) -> None:
        tried.append(PortTaken("taken", stranger if tried else worker))
        raise tried[-1]

    monkeypatch.setattr(Lifecycle, "__aenter__", refuse)

    async def scenario() -> None:
        async with asyncio.timeout(20):
            await started_after(_life(taken), 2)

    with pytest.raises(PortUnavailable) as refused:
        asyncio.run(scenario())
    assert refused.value is tried[-1]
    assert len(tried) == 2


@pytest.mark.parametrize(
    ("pid", "expected"), [(os.getpid(), True), (2**22 + 1, False)], ids=["there", "gone"]
)
def test_who_lives(pid: int, expected: bool) -> None:
    """As the kernel has it."""
    assert lives(PortHolder(pid, 1, "")) is expected


def test_a_start_that_fails_otherwise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is waited for: a port that cannot be had at all, with nobody on it."""
    monkeypatch.setenv("LIFECYCLE_RUN_DIR", str(tmp_path))
    life = Lifecycle(Config(qos_host="192.0.2.1", qos_port=22999))

    with pytest.raises(PortUnavailable, match="cannot open the QOS port"):
        asyncio.run(started_after(life, 3600))


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (PortHolder(1, os.getppid(), "worker"), True),
        (PortHolder(os.getpid(), os.getppid(), "this one"), False),
        (PortHolder(os.getppid(), 1, "the master"), False),
        (PortHolder(1, 2, "a stranger"), False),
    ],
)
def test_who_is_a_fellow(found: PortHolder, expected: bool) -> None:
    """A child of the same parent, and not this process itself."""
    assert is_fellow(found) is expected
