"""The limits that kazoo's threads and sockets get, without a server."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Iterator

import pytest
from lifecycle_zookeeper.errors import ZooKeeperFailed
from lifecycle_zookeeper.handler import Handler, Logger

PATIENCE = 0.05


class Heard:
    """A handler, and what it has passed on."""

    def __init__(self, here: socket.socket) -> None:
        self.failures: list[str] = []
        self.crashes: list[str] = []
        self.refuses: ZooKeeperFailed | None = None
        self.here = here
        self.handler = Handler(
            self._connect,
            PATIENCE,
            lambda failed: self.failures.append(str(failed)),
            lambda error: self.crashes.append(str(error)),
        )

    def _connect(self, *_: object) -> socket.socket:
        if self.refuses is not None:
            raise self.refuses
        return self.here


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    here, there = socket.socketpair()
    with here, there:
        yield here, there


@pytest.fixture
def heard(pair: tuple[socket.socket, socket.socket]) -> Heard:
    return Heard(pair[0])


def test_a_server_that_opens_no_session_is_slow(heard: Heard) -> None:
    """kazoo would wait for the whole session. Here, it waits for the patience alone."""
    sock = heard.handler.create_connection(("127.0.0.1", 2181))
    began = time.monotonic()
    assert heard.handler.select([sock], [], [], 60) == ([], [], [])
    assert time.monotonic() - began < 30
    heard.handler.failed("Connection time-out: socket time-out during read")
    assert heard.failures == ["slow: 0.05 s have passed without a session"]


def test_a_server_with_a_session_may_be_silent_for_longer(heard: Heard) -> None:
    sock = heard.handler.create_connection(("127.0.0.1", 2181))
    heard.handler.has_session = True
    began = time.monotonic()
    heard.handler.select([sock], [], [], 4 * PATIENCE)
    assert time.monotonic() - began >= 4 * PATIENCE


def test_what_is_ready_is_returned(heard: Heard, pair: tuple[socket.socket, socket.socket]) -> None:
    here, there = pair
    there.send(b"x")
    assert heard.handler.select([here], [], [], 60) == ([here], [], [])
    assert heard.handler.select([], [here], [], 60) == ([], [here], [])
    there.close()
    here.recv(1)
    assert heard.handler.select([here], [], [], 60) == ([here], [], []), "its end can be read"


WORDS = {
    "Connection dropped: socket connection broken": (
        "closed: the server has closed the connection without an answer"
    ),
    "Cannot resolve zk: unknown": "unreachable: Cannot resolve zk: unknown",
}


@pytest.mark.parametrize("words", WORDS)
def test_a_failure_before_a_session_has_a_reason(heard: Heard, words: str) -> None:
    heard.handler.create_connection(("127.0.0.1", 2181))
    heard.handler.failed(words)
    assert heard.failures == [WORDS[words]]


def test_a_failure_after_a_session_has_the_words_of_kazoo(heard: Heard) -> None:
    heard.handler.create_connection(("127.0.0.1", 2181))
    heard.handler.has_session = True
    heard.handler.failed("Connection dropped: \x1b[31m")
    assert heard.failures == ["unreachable: Connection dropped: \ufffd[31m"]


def test_the_reason_of_a_refused_connection_wins(heard: Heard) -> None:
    heard.refuses = ZooKeeperFailed("no file", "/x: No such file or directory")
    with pytest.raises(OSError, match="no file"):
        heard.handler.create_connection(("127.0.0.1", 2181))
    heard.handler.failed("Connection dropped: socket connection error: no file")
    assert heard.failures == ["no file: /x: No such file or directory"]


@pytest.mark.parametrize("words", ["Transition to CONNECTING", "Session has expired"])
def test_a_warning_that_follows_another_one_is_no_failure(heard: Heard, words: str) -> None:
    heard.handler.failed(words)
    assert heard.failures == []


def test_a_connection_that_is_cut_ends_at_once_and_no_other_follows(
    heard: Heard, pair: tuple[socket.socket, socket.socket]
) -> None:
    """For a thread that waits for a server that hangs."""
    sock = heard.handler.create_connection(("127.0.0.1", 2181))
    heard.handler.has_session = True
    heard.handler.cut()
    assert heard.handler.select([sock], [], [], 60) == ([sock], [], [])
    assert sock.recv(1) == b""
    with pytest.raises(ConnectionAbortedError):
        heard.handler.create_connection(("127.0.0.1", 2181))
    heard.handler.failed("Connection dropped: socket connection broken")
    assert heard.failures == []


def test_a_thread_that_fails_is_told_and_prints_nothing(
    heard: Heard, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise RuntimeError("xids do not match")

    heard.handler.spawn(fail).join(10)
    assert heard.crashes == ["xids do not match"]
    assert capsys.readouterr() == ("", "")


def test_the_socket_that_wakes_kazoo_never_blocks(heard: Heard) -> None:
    """The loop writes to it, once for each request."""
    reading, writing = heard.handler.create_socket_pair()

    def fill() -> None:
        while True:
            writing.send(b"\0")

    with reading, writing, pytest.raises(BlockingIOError):
        fill()


def test_kazoo_writes_nothing_to_a_log(caplog: pytest.LogCaptureFixture) -> None:
    """Its debug records have the password, and an app may have turned them on."""
    told: list[str] = []
    logger = Logger(told.append)
    with caplog.at_level(logging.DEBUG):
        logger.debug("Sending request: %s", "shop:s3cr3t")
        logger.warning("Connection dropped: %s", "broken")
        logger.error("Unhandled")
    assert told == ["Connection dropped: broken", "Unhandled"]
    assert caplog.records == []
