"""Floods of frames over HTTP/2 on the app's port, and those who only look like one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import pytest
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from tests.process import wire
from tests.process.kit import App, serve_asgi, wait_for

Start = Callable[..., App]

APP = """
import asyncio

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return
    if scope["path"] == "/deaf":
        await asyncio.sleep(3)  # whatever its client does
    if scope["path"] == "/events":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(3000):
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        return
    if scope["path"] == "/breaks":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"part", "more_body": True})
        return
    if scope["path"] == "/waits":
        while (await receive())["type"] != "http.disconnect":
            pass
        return
    if scope["path"] == "/reads":
        while (await receive())["more_body"]:
            pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})
"""
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + SettingsFrame(0).serialize()
CALM, REFUSED_STREAM = 11, 7


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """Serve for all of them; no flood is worth a line in the log, or keeps it from leaving."""
    folder = tmp_path_factory.mktemp("floods")
    env = {"LIFECYCLE_SETTLE": "0.2", "LIFECYCLE_QUIET": "0.2"}
    with serve_asgi(App.start, folder, APP, **env) as app:
        app.wait_state("ready")
        yield app
        wait_for(lambda: app.status()["in_flight"] == 0, 5, "the end of all requests")
        app.stop()
        assert "Traceback" not in app.stderr, app.stderr


def request(number: int, path: bytes = b"/", *, end: bool = True) -> HeadersFrame:
    """Return a GET's frame, without a table of headers."""
    fields = ((b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"a"), (b":path", path))
    block = b"".join(
        b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value for name, value in fields
    )
    frame = HeadersFrame(number, block, flags=["END_HEADERS"])
    if end:
        frame.flags.add("END_STREAM")
    return frame


def many(frame: Frame, times: int = 4000) -> bytes:
    return frame.serialize() * times


def rapid_reset(path: bytes = b"/waits", times: int = 2500) -> bytes:
    return b"".join(
        request(1 + 2 * n, path).serialize() + RstStreamFrame(1 + 2 * n, 8).serialize()
        for n in range(times)
    )


OPEN = request(1, b"/waits", end=False).serialize()
TAKEN_BACK = OPEN + RstStreamFrame(1, 8).serialize()
REFUSED = request(1, b"/waits").serialize() * 2
"""The second one is a fault, for which we reset the stream."""
LAST = DataFrame(1, b"", flags=["END_STREAM"])
FLOODS = {
    "PING": many(PingFrame(0, b"12345678")),
    "SETTINGS": many(SettingsFrame(0, {4: 65535})),
    "SETTINGS acknowledged": many(SettingsFrame(0, flags=["ACK"])),
    "PRIORITY": b"".join(PriorityFrame(3 + 2 * n, 1).serialize() for n in range(4000)),
    "PRIORITY of one": many(PriorityFrame(3, 1)),
    "WINDOW_UPDATE": many(WindowUpdateFrame(0, window_increment=1)),
    "empty DATA": OPEN + many(DataFrame(1, b"")),
    "DATA of padding": OPEN + many(DataFrame(1, b"", pad_length=1, flags=["PADDED"])),
    "unknown": many(PingFrame(0, b"12345678")).replace(b"\x08\x06\0", b"\x08\xfe\0"),
    "HEADERS for what its client has reset": TAKEN_BACK + many(request(1)),
    "HEADERS for what we have reset": REFUSED + many(request(1)),
    "the end of what its client has reset": TAKEN_BACK + many(LAST),
    "the end of what we have reset": REFUSED + many(LAST),
    "DATA for what its client has reset": TAKEN_BACK + many(DataFrame(1, b"x")),
    "DATA for what we have reset": REFUSED + many(DataFrame(1, b"x")),
    "rapid reset": rapid_reset(),
    "more requests than the limit allows": b"".join(
        request(1 + 2 * n, b"/waits").serialize() for n in range(2500)
    ),
    "CONTINUATION": HeadersFrame(1, b"\x00\x01a\x01b").serialize()
    + many(ContinuationFrame(1, b"\x00\x01a\x01b")),
}


def frames(received: bytes) -> list[Frame]:
    """Take apart what a server has sent."""
    found, at = [], 0
    while at + 9 <= len(received):
        frame, length = Frame.parse_frame_header(memoryview(received[at : at + 9]))
        if at + 9 + length > len(received):
            break
        frame.parse_body(memoryview(received[at + 9 : at + 9 + length]))
        found.append(frame)
        at += 9 + length
    return found


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood(app: App, name: str) -> None:
    """A flood's connection is told why, and closed; others are served meanwhile."""
    received = wire.exchange(("127.0.0.1", app.port), PREFACE + FLOODS[name], timeout=10)
    goaways = [frame for frame in frames(received) if isinstance(frame, GoAwayFrame)]
    assert [frame.error_code for frame in goaways] == [CALM]
    assert wire.ask(("127.0.0.1", app.port), "/").status == 200
    assert app.get("/ready")[:2] == (200, "true")


class Client:
    """An HTTP/2 client that does more than it must, as some do."""

    def __init__(self, app: App) -> None:
        self.sock = wire.connect(("127.0.0.1", app.port), timeout=10.0)
        self.sock.sendall(PREFACE)
        self._rest = b""
        self._next = 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def send(self, *frames: Frame) -> None:
        self.sock.sendall(b"".join(frame.serialize() for frame in frames))

    def number(self) -> int:
        self._next += 2
        return self._next - 2

    def frames(self, *, leaving: bool = False) -> list[Frame]:
        """Return what comes next; GOAWAY only from a server that is `leaving`."""
        data = self.sock.recv(65536)
        assert data, "the connection has ended"
        self._rest += data
        found = frames(self._rest)
        self._rest = self._rest[sum(len(each.serialize()) for each in found) :]
        told = [each for each in found if isinstance(each, GoAwayFrame)]
        assert leaving or not told, found
        return found

    def until_over(self, number: int) -> Frame:
        """Read until a stream has ended; every frame of data gives credit back, twice."""
        while True:
            for frame in self.frames():
                if isinstance(frame, DataFrame) and frame.data:
                    size = len(frame.data)
                    stream = [WindowUpdateFrame(frame.stream_id, window_increment=size)]
                    if "END_STREAM" in frame.flags:
                        stream = []
                    self.send(WindowUpdateFrame(0, window_increment=size), *stream)
                ended = "END_STREAM" in frame.flags or isinstance(frame, RstStreamFrame)
                if ended and frame.stream_id == number:
                    return frame


def test_a_busy_browser(app: App) -> None:
    """Priorities, pings and credit for every request are no flood, however many they are."""
    with Client(app) as client:
        for _ in range(300):
            number = client.number()
            client.send(
                PriorityFrame(number, 0, 15),
                request(number),
                PriorityFrame(number, 0, 200),
                WindowUpdateFrame(number, window_increment=10),
                PingFrame(0, b"12345678"),
                SettingsFrame(0),
            )
            assert not isinstance(client.until_over(number), RstStreamFrame)


def test_credit_for_every_frame(app: App) -> None:
    """Who gives credit back for each frame of a long answer, however small, is answered whole."""
    with Client(app) as client:
        for _ in range(3):
            number = client.number()
            client.send(request(number, b"/events"))
            assert not isinstance(client.until_over(number), RstStreamFrame)


def test_an_upload_in_small_pieces(app: App) -> None:
    """An upload that its client sends a few bytes at a time is no flood, however long it is."""
    with Client(app) as client:
        number = client.number()
        pieces = [DataFrame(number, b"abc") for _ in range(4000)]
        last = DataFrame(number, b"", flags=["END_STREAM"])
        client.send(request(number, b"/reads", end=False), *pieces, last)
        assert not isinstance(client.until_over(number), RstStreamFrame)


def test_uploads_that_cross_with_their_reset(app: App) -> None:
    """A client whose uploads are refused has sent a window of each by then, and goes on."""
    with Client(app) as client:
        numbers = [client.number() for _ in range(150)]
        client.send(*(request(each, b"/waits", end=False) for each in numbers))
        part = b"x" * 8191
        for number in numbers[100:]:
            client.send(
                *[DataFrame(number, part)] * 8, DataFrame(number, b"", flags=["END_STREAM"])
            )
        client.send(*(RstStreamFrame(each, 8) for each in numbers[:100]))
        last = client.number()
        client.send(request(last))
        assert not isinstance(client.until_over(last), RstStreamFrame)


SMALL = 4000
"""Frames of 16 bytes that fill a window but for a few bytes."""
OURS = {
    "its app fails": (b"/breaks", 0),
    "it is one too many": (b"/waits", 100),
    "its client goes on for too long after the answer": (b"/", 0),
}


def reset_by_us(client: Client, why: str) -> list[int]:
    """Begin two uploads, and return their numbers once we have reset them."""
    path, before = OURS[why]
    client.send(*(request(client.number(), b"/waits") for _ in range(before)))
    numbers = [client.number() for _ in range(2)]
    client.send(*(request(each, path, end=False) for each in numbers))
    reset: set[int] = set()
    while not reset.issuperset(numbers):
        reset |= {each.stream_id for each in client.frames() if isinstance(each, RstStreamFrame)}
    return numbers


@pytest.mark.parametrize("why", OURS)
def test_small_frames_that_cross_with_their_reset(app: App, why: str) -> None:
    """A client may have sent a window's bytes before it hears of our reset, however small cut."""
    with Client(app) as client:
        for number in reset_by_us(client, why):
            client.send(*[DataFrame(number, b"x" * 16)] * SMALL)
            client.send(DataFrame(number, b"the rest", flags=["END_STREAM"]))
        client.send(*(RstStreamFrame(1 + 2 * n, 8) for n in range(OURS[why][1])))
        last = client.number()
        client.send(request(last))
        assert not isinstance(client.until_over(last), RstStreamFrame)


BEYOND: dict[str, Callable[[int], bytes]] = {
    "more than its window": lambda number: many(DataFrame(number, b"x" * 64)),
    "HEADERS": lambda number: many(request(number)),
    "its end, again and again": lambda number: many(DataFrame(number, b"", flags=["END_STREAM"])),
    "empty DATA": lambda number: many(DataFrame(number, b"")),
    "DATA behind its end": lambda number: (
        DataFrame(number, b"", flags=["END_STREAM"]).serialize() + many(DataFrame(number, b"x"))
    ),
}


@pytest.mark.parametrize("name", BEYOND)
def test_a_flood_for_what_we_have_reset(app: App, name: str) -> None:
    """What cannot have been sent before our reset was heard of is a flood."""
    with Client(app) as client:
        number, _ = reset_by_us(client, "its app fails")
        client.sock.sendall(BEYOND[name](number))
        told: list[Frame] = []
        while not told:
            told = [each for each in client.frames(leaving=True) if isinstance(each, GoAwayFrame)]
        assert [each.error_code for each in told if isinstance(each, GoAwayFrame)] == [CALM]


def test_taking_requests_back(app: App) -> None:
    """A proxy whose clients hang up takes hundreds of requests back, and goes on."""
    with Client(app) as client:
        for _ in range(6):
            numbers = [client.number() for _ in range(90)]
            client.send(*(request(each, b"/waits") for each in numbers))
            client.send(*(RstStreamFrame(each, 8) for each in numbers))
        last = client.number()
        client.send(request(last))
        assert not isinstance(client.until_over(last), RstStreamFrame)


def test_apps_that_do_not_hear(app: App) -> None:
    """While hundreds of requests are served that were taken back, new ones are refused."""
    begun = 0
    with Client(app) as client:
        for _ in range(3):
            numbers = [client.number() for _ in range(90)]
            client.send(*(request(each, b"/deaf") for each in numbers))
            begun = min(200, begun + 90)
            wait_for(lambda: app.status()["in_flight"] >= begun, 5, "the requests")  # noqa: B023
            client.send(*(RstStreamFrame(each, 8) for each in numbers))
        last = client.number()
        client.send(request(last))
        refused = client.until_over(last)
        assert isinstance(refused, RstStreamFrame)
        assert refused.error_code == REFUSED_STREAM
        wait_for(lambda: app.status()["in_flight"] == 0, 5, "the end of all requests")
        last = client.number()
        client.send(request(last))
        assert not isinstance(client.until_over(last), RstStreamFrame)


BROKEN = {
    "a path that is no text": request(1, b"/\xff\xfe"),
    "CONNECT": HeadersFrame(1, b"\x00\x07:method\x07CONNECT", flags=["END_HEADERS"]),
    "no path": HeadersFrame(1, b"\x00\x07:method\x03GET", flags=["END_HEADERS", "END_STREAM"]),
    "an index that is not there": HeadersFrame(1, b"\xff\xff\xff", flags=["END_HEADERS"]),
    "data on no stream": DataFrame(7, b"x"),
    "a window of nothing": WindowUpdateFrame(0, window_increment=0),
    "a window too large": WindowUpdateFrame(0, window_increment=2**31 - 1),
    "a bad setting": SettingsFrame(0, {4: 2**31}),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_frames(app: App, name: str) -> None:
    """Whatever a stranger's frames break ends in an answer, in a reset, or in GOAWAY."""
    with wire.connect(("127.0.0.1", app.port), timeout=10.0) as sock:
        sock.sendall(PREFACE + BROKEN[name].serialize())
        received = b""
        ends = {HeadersFrame, RstStreamFrame, GoAwayFrame}
        while not {*map(type, frames(received))} & ends and (data := sock.recv(65536)):
            received += data
    assert {*map(type, frames(received))} & ends, frames(received)
    wait_for(lambda: app.status()["in_flight"] == 0, 5, "the end of all requests")


def test_an_answer_that_breaks_off(start: Start, tmp_path: Path) -> None:
    """An app that returns in the middle of its answer has its stream reset, and no other one."""
    source = (
        "async def app(scope, receive, send):\n"
        "    if scope['type'] == 'lifespan':\n        return\n"
        "    await send({'type': 'http.response.start', 'status': 200, 'headers': []})\n"
        "    end = scope['path'] != '/breaks'\n"
        "    await send({'type': 'http.response.body', 'body': b'x', 'more_body': not end})\n"
    )
    app = serve_asgi(start, tmp_path, source)
    app.wait_state("ready")
    with Client(app) as client:
        for path, breaks in ((b"/breaks", True), (b"/", False)):
            number = client.number()
            client.send(request(number, path))
            assert isinstance(client.until_over(number), RstStreamFrame) is breaks
