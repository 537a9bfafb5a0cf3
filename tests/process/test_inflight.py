"""What is in flight, by name: `/inflight`, `lifecycle inflight`, and the report of the drain."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from tests.process.kit import App, ask, background, serve_asgi, wait_for

Start = Callable[..., App]

QUICK = {
    "LIFECYCLE_SETTLE": "0",
    "LIFECYCLE_QUIET": "0",
    "LIFECYCLE_STOP_TIMEOUT": "0.5",
    "LIFECYCLE_GRACE_PERIOD": "4",
}

SHOP = """
import asyncio, time

async def fetch():
    await asyncio.sleep(60)

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while (message := await receive())["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    if scope["path"].startswith("/hold"):
        await fetch()
    if scope["path"] == "/block":
        time.sleep(60)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})
"""


@pytest.fixture
def app(start: Start, tmp_path: Path) -> App:
    """Serve a shop whose requests hang."""
    app = serve_asgi(start, tmp_path, SHOP, **QUICK)
    app.wait_state("ready")
    return app


def asking(app: App, path: str) -> Future[tuple[int, str]]:
    """Send a request that hangs, and return once it is in flight."""
    before = in_flight(app)["in_flight"]
    asked = background(lambda: ask(app.port, path))
    wait_for(lambda: in_flight(app)["in_flight"] > before, 10, f"{path} in flight")
    return asked


def standing(app: App, *places: str) -> dict[str, Any]:
    """Return `/inflight?stacks` once requests stand there: they count before the app has begun."""

    def there() -> dict[str, Any] | None:
        found = in_flight(app, "?stacks&limit=5")
        lines = {line for each in found["entries"] for line in each["stack"]}
        return found if lines.issuperset(places) else None

    found = wait_for(there, 10, lambda: in_flight(app, "?stacks"))
    assert found is not None
    return found


def in_flight(app: App, query: str = "") -> dict[str, Any]:
    """Return what `/inflight` answers."""
    status, body, _ = app.get(f"/inflight{query}")
    assert status == 200, body
    found: dict[str, Any] = json.loads(body)
    return found


def test_a_request_by_name(app: App) -> None:
    """Its method and path, its age, its protocol, and where it stands; never its query."""
    asking(app, "/hold?token=secret")
    found = standing(app, "web.py:5 fetch")
    [entry] = found["entries"]
    assert (found["in_flight"], found["shown"]) == (1, 1)
    assert (entry["name"], entry["protocol"], entry["worker"]) == ("GET /hold", "http/1.1", app.pid)
    assert 0 <= entry["age"] < 10
    assert entry["stack"][-2:] == ["web.py:5 fetch", entry["stack"][-1]]
    assert any("asyncio" in line for line in entry["stack"])
    assert "MainThread" in {each["name"] for each in found["threads"]}
    assert "secret" not in json.dumps(found)


def test_a_request_that_blocks_the_loop(app: App) -> None:
    """The control thread answers all the same, with the line that blocks."""
    asking(app, "/hold")
    blocked = background(lambda: ask(app.port, "/block"))
    wait_for(lambda: len(in_flight(app)["entries"]) == 2, 10, "both in flight")
    hold, block = standing(app, "web.py:16 app", "web.py:5 fetch")["entries"]
    assert (hold["name"], block["name"]) == ("GET /hold", "GET /block")
    assert block["stack"][-1] == "web.py:16 app"
    assert "web.py:5 fetch" in hold["stack"]
    assert not blocked.done()


@pytest.mark.parametrize("words", [(), ("--stacks",), ("--json",), ("--json", "--stacks")])
def test_the_command(app: App, words: tuple[str, ...]) -> None:
    """A table for people, with stacks if they are wanted, or the JSON."""
    assert app.cli("inflight").stdout == "0 in flight\n"
    asking(app, "/hold/1")
    asking(app, "/hold/2")
    done = app.cli("inflight", *words, "--limit", "1")
    assert (done.returncode, done.stderr) == (0, "")
    if "--json" in words:
        found = json.loads(done.stdout)
        assert [each["name"] for each in found["entries"]] == ["GET /hold/1"]
        assert ("threads" in found) is ("--stacks" in words)
        return
    assert done.stdout.startswith("2 in flight, the oldest 1 are shown\n\n")
    assert "GET /hold/2" not in done.stdout
    if "--stacks" in words:
        told = rf"^GET /hold/1, for [\d.]+ s, in process {app.pid}\n(  .*\n)*  web.py:5 fetch\n"
        assert re.search(told, done.stdout, re.MULTILINE)
        assert f"thread MainThread of process {app.pid}\n" in done.stdout
    else:
        assert re.search(
            rf"^[\d.]+ s +GET /hold/1 +- +http/1.1 +{app.pid}$", done.stdout, re.MULTILINE
        )


def test_watching(app: App, start: Start) -> None:
    """Every second, until the app has exited."""
    asking(app, "/hold")
    watch = app.beside(start, "inflight", "--watch", "--json")
    wait_for(lambda: watch.stdout.count("\n") > 1, 10, "two looks")
    app.signal(signal.SIGTERM)
    app.wait()
    assert watch.wait() == 0
    assert all(json.loads(line) for line in watch.stdout.splitlines())
    assert watch.stderr == "the app has exited\n"


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "1e3", "²", "9" * 5000])
def test_a_limit_that_is_none(app: App, limit: str) -> None:
    """It is refused with the range."""
    status, body, _ = app.get(f"/inflight?limit={'%C2%B2' if limit == '²' else limit}")
    assert (status, body) == (400, "The argument limit must be a number from 1 to 1000.\n")


def test_an_argument_that_is_none(app: App) -> None:
    """A misspelt one is refused too, and so is a change."""
    assert app.get("/inflight?stack")[:2] == (
        400,
        "'stack' is not an argument. Use ?limit=NUMBER and ?stacks.\n",
    )
    assert app.get("/inflight", method="POST")[0] == 405
    assert app.get("/inflight", headers={"X-Forwarded-For": "1.2.3.4"})[0] == 403
    done = app.cli("inflight", "--limit", "0")
    assert done.returncode == 1
    assert done.stderr.startswith("The argument limit must be a number from 1 to 1000.\n")


def test_the_report_of_what_was_cut_off(app: App) -> None:
    """By name, age and line; and what ended last."""
    asking(app, "/hold?token=secret")
    app.stop(124)
    [report] = app.events("drain report")
    # A connection of the last look at the state may still be closing.
    cut_off = r"1 request( and 1 connection)?, which had not ended in time"
    assert re.fullmatch(cut_off, report["cut_off"][0])
    assert re.fullmatch(r"GET /hold, after [\d.]+ s, at web.py:5 fetch", report["cut_off"][1])
    assert report["waited_for"] == "1 in flight: GET /hold"
    assert "secret" not in app.stderr


HOSTILE = "\x1b[2J<script>alert(1)</script>\u202e\n\t😀\"'\\"


@pytest.fixture
def hostile(start: Start) -> Iterator[App]:
    """Run an app that names its work as nobody should."""
    source = f"""
import asyncio
import lifecycle

async def main(life):
    async def work(n):
        with life.track({HOSTILE!r} * 99, {HOSTILE!r} * 99, name={HOSTILE!r} * n):
            await asyncio.sleep(60)
    working = [asyncio.create_task(work(n)) for n in range(1, 60)]
    await life.ready()
    await life.drained()

lifecycle.run(main)
"""
    app = start(source, env=QUICK)
    app.wait_state("ready")
    yield app
    app.stop(124)
    [report] = app.events("drain report")
    assert len(report["cut_off"]) == 21
    assert all(each.isprintable() and len(each) < 400 for each in report["cut_off"])


def test_hostile_names(hostile: App) -> None:
    """They are bounded, on one line each, and do nothing to a terminal."""
    found = in_flight(hostile, "?limit=59")
    assert found["shown"] == 59
    for entry in found["entries"]:
        assert entry["name"].isprintable()
        assert len(json.dumps(entry, ensure_ascii=False).encode()) <= 300
    for words in ((), ("--stacks",)):
        told = hostile.cli("inflight", *words).stdout
        assert told.replace("\n", "").isprintable()
