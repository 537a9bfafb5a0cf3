"""The work in flight as a list: for `/inflight`, and for the report of what was cut off."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.asgi import Middleware
from lifecycle.drain import view as module
from lifecycle.drain.elsewhere import Ended, Nowhere, Seen, SeenThread, View
from lifecycle.drain.view import AGENT_BYTES, NAME_BYTES, REPORTED, cut_off, fit, view
from tests.unit.drain.play import Play, soon
from tests.unit.drain.test_work_names import nowhere, scope
from tests.unit.virtual_time import run


async def never(*_: Any) -> Any:
    """Serve for ever."""
    await asyncio.get_running_loop().create_future()


class There(Nowhere):
    """A worker with one request, and with one that it has cut off."""

    def in_flight(self) -> int:
        """Return how many there are."""
        return 2

    async def view(self, limit: int, *, stacks: bool) -> View:
        """Return the request, and its thread."""
        threads = [SeenThread(7, "MainThread", ["shop.py:3 serve"])] if stacks else []
        return View(
            [Seen(500.0, "GET /old", "curl/8", 7, "http/1.1", ["shop.py:3 serve"])],
            threads,
            2,
        )

    def cut_off(self) -> Sequence[Seen]:
        """Return what was cut off."""
        return [Seen(500.0, "GET /old", "curl/8", 7, "http/1.1", ["a", "b"], "shop.py:3 serve")]

    def last_to_end(self) -> Ended | None:
        """Return what ended last."""
        return Ended(1e6, "GET /last from curl/8", 2.5)


def test_the_oldest_come_first() -> None:
    """Requests, WebSockets and the app's own work, each with its name, age and protocol."""

    async def main() -> None:
        play = await Play().open()
        middleware = Middleware(never, play.life)

        async def ask(asked: dict[str, Any]) -> None:
            await middleware(asked, never, nowhere)

        tasks = [asyncio.create_task(ask(scope("/1", query_string=b"token=secret")))]
        await asyncio.sleep(1)
        tasks.append(asyncio.create_task(ask(scope("/2", type="websocket"))))
        await asyncio.sleep(1)
        with play.life.track(name="import 7"), play.life.track(), play.life.track("", "/a", "RPC"):
            await asyncio.sleep(1)
            found = await view(play.stage.core.traffic, 4, stacks=False)
        assert (found["in_flight"], found["shown"]) == (5, 4)
        assert [
            (each["name"], each["agent"], each["age"], each["protocol"])
            for each in found["entries"]
        ] == [
            ("GET /1", "curl/8", 3.0, "http/1.1"),
            ("WebSocket /2", "curl/8", 2.0, "websocket"),
            ("import 7", "", 1.0, "task"),
            ("tracked work", "", 1.0, ""),
        ]
        assert {each["worker"] for each in found["entries"]} == {os.getpid()}
        assert "secret" not in str(found)
        assert "threads" not in found
        assert "stack" not in found["entries"][0]
        play.signal()
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        await play.end()

    run(main())


def test_where_each_one_stands() -> None:
    """A task by what it awaits, a thread by its stack; what is unknown has no line."""

    async def main() -> None:
        play = await Play().open()
        traffic = play.stage.core.traffic
        middleware = Middleware(never, play.life)
        free, inside = threading.Event(), threading.Event()

        def in_a_thread() -> None:
            with play.life.track(name="thread"):
                inside.set()
                free.wait(10)

        async def in_a_task() -> None:
            with play.life.track(name="task"):
                await never()

        def at_once() -> None:
            work.enter_context(play.life.track(name="callback"))

        work = ExitStack()
        thread = threading.Thread(target=in_a_thread, name="poller")
        thread.start()
        inside.wait(10)
        tasks = [
            asyncio.create_task(in_a_task()),
            asyncio.ensure_future(middleware(scope(), never, nowhere)),
        ]
        asyncio.get_running_loop().call_soon(at_once)
        await asyncio.sleep(1)
        with work, play.life.track(name="own"):
            found = await view(traffic, 9, stacks=True)
        free.set()
        thread.join(10)
        stacks = {each["name"]: each["stack"] for each in found["entries"]}
        assert {name: lines[-1:] for name, lines in stacks.items() if name != "own"} == {
            "thread": [stacks["thread"][-1]],
            "task": [f"tests/unit/drain/test_view.py:{LINE} never"],
            "GET /orders": [f"tests/unit/drain/test_view.py:{LINE} never"],
            "callback": [],
        }
        assert any("in_a_thread" in line for line in stacks["thread"])
        assert any("in_a_task" in line for line in stacks["task"])
        assert any("main" in line for line in stacks["own"]), "it runs at this moment"
        assert "poller" in {each["name"] for each in found["threads"]}
        assert max(map(len, stacks.values())) <= 8
        play.signal()
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        await play.end()

    run(main())


LINE = never.__code__.co_firstlineno + 2


def test_work_whose_task_has_ended() -> None:
    """Its age is known, and it stands nowhere."""

    async def main() -> None:
        play = await Play().open()

        async def leave_behind() -> None:
            play.life.track(name="leak").__enter__()

        await asyncio.create_task(leave_behind())
        await asyncio.sleep(2)
        [entry] = (await view(play.stage.core.traffic, 9, stacks=True))["entries"]
        assert (entry["name"], entry["age"], entry["stack"]) == ("leak", 2.0, [])
        play.signal()
        await play.end()
        assert play.report["cut_off"] == ["leak, after 30.0 s"]

    run(main())


def test_the_work_of_other_processes() -> None:
    """It is between this process' own, by its age; its threads are the ones that matter."""

    async def main() -> None:
        play = await Play().open()
        traffic = play.stage.core.traffic
        traffic.elsewhere = There()
        with play.life.track(name="own"):
            found = await view(traffic, 1, stacks=True)
            assert [each["name"] for each in found["entries"]] == ["GET /old"]
            assert found["threads"] == [
                {"worker": 7, "name": "MainThread", "stack": ["shop.py:3 serve"]}
            ], "and none of this process, which only waits"
            assert (found["in_flight"], found["shown"]) == (3, 1)
            [old, own, more] = cut_off(traffic)
        assert old.startswith("GET /old from curl/8, after ")
        assert old.endswith(" s, at shop.py:3 serve")
        assert own.startswith("own, after 0.0 s, at ")
        assert more == "and 1 more in flight"
        assert traffic.last_to_end() == Ended(1e6, "GET /last from curl/8", 2.5)
        traffic.elsewhere = Nowhere()
        play.signal()
        await play.end()

    run(main())


def test_the_report_names_a_few() -> None:
    """However much is cut off: so many of it, the oldest, and how much more there is."""

    async def main() -> None:
        play = await Play().open()
        for number in range(50):
            play.life.track(name=f"job {number}").__enter__()
        play.signal()
        await play.end()
        told = play.report["cut_off"]
        assert len(told) == REPORTED + 1
        assert told[0].startswith("job 0, after 28.0 s, at ")
        assert told[-1] == "and 30 more in flight"

    run(main())


def test_what_the_cancelled_main_takes_with_it() -> None:
    """A request that ends because main is cancelled is named too, with the line at which it stood."""

    async def main() -> None:
        play = await Play().open()
        middleware = Middleware(never, play.life)
        task = asyncio.ensure_future(middleware(scope("/export"), never, nowhere))
        play.deaf = True
        play.host.cancels_main = True  # type: ignore[misc]
        cancel = play.host.cancel_main
        play.host.cancel_main = lambda: (task.cancel(), cancel())[1]  # type: ignore[method-assign]
        play.signal()
        await play.end()
        await asyncio.wait({task})
        assert play.report["cut_off"] == [
            "main, which had not ended in time",
            f"GET /export from curl/8, after 28.0 s, at tests/unit/drain/test_view.py:{LINE} never",
        ]

    run(main())


@pytest.mark.parametrize("name", ["", "import 7"])
def test_the_last_to_end(name: str) -> None:
    """The report names the work that ended last, with its age; not probes, not who was refused."""

    async def main() -> None:
        play = await Play().open()

        async def work(seconds: float, *words: str, **more: str) -> None:
            with play.life.track(*words, **more):
                await asyncio.sleep(seconds)

        async def refuse() -> None:
            with play.life.track("browser", "/chat") as refused:
                await asyncio.sleep(9)
                refused.sent_away()

        tasks = [
            asyncio.create_task(work(8, "curl/8", "/export", "GET", name=name)),
            asyncio.create_task(work(7, "curl/8", "/early", "GET")),
            asyncio.create_task(work(8.5, "kube-probe/1.34", "/", "GET")),
            asyncio.create_task(refuse()),
        ]
        await asyncio.sleep(0.5)
        play.signal()
        await asyncio.gather(*tasks)
        assert await play.end() == soon(8.5)
        assert play.report["last_to_end"] == {
            "name": f"{name or 'GET /export'} from curl/8",
            "age": 8.0,
        }

    run(main())


def test_a_request_that_the_middleware_has_counted_ends_last() -> None:
    """It may have come before the drain start."""

    async def main() -> None:
        play = await Play().open()
        middleware = Middleware(lambda *_: asyncio.sleep(9), play.life)
        task = asyncio.ensure_future(middleware(scope("/export"), never, nowhere))
        await asyncio.sleep(1)
        play.signal()
        assert await play.end() == soon(8)
        await task
        assert play.report["last_to_end"] == {"name": "GET /export from curl/8", "age": 9.0}

    run(main())


def test_nothing_ends_while_draining() -> None:
    """The report has no such field."""

    async def main() -> None:
        play = await Play().open()
        with play.life.track():
            pass
        play.signal()
        await play.end()
        assert "last_to_end" not in play.report

    run(main())


@given(st.text(), st.integers(min_value=2, max_value=NAME_BYTES))
def test_a_text_fits(text: str, size: int) -> None:
    """On one line, in so many bytes of JSON, and the beginning of what it was."""
    told = fit(text, size)
    assert told.isprintable()
    assert len(json.dumps(told, ensure_ascii=False).encode()) - 2 <= size
    assert module.one_line(text).startswith(told)


@pytest.mark.parametrize("text", ['"', "\\", "😀", "ä", "\x00", "a", "<script>", "\ud800"])
def test_an_entry_has_300_bytes_at_most(text: str) -> None:
    """Whatever a client puts into its path and its user agent."""

    async def main() -> None:
        play = await Play().open()
        traffic = play.stage.core.traffic
        with play.life.track(text * 5000, text * 5000, text * 5000, protocol=text * 500):
            found = await view(traffic, 9, stacks=False)
        [entry] = found["entries"]
        assert len(json.dumps(entry, ensure_ascii=False).encode()) <= 300
        assert len(entry["name"].encode()) > NAME_BYTES / 3
        assert len(entry["agent"].encode()) > AGENT_BYTES / 3
        play.signal()
        await play.end()

    run(main())


@pytest.mark.parametrize("ending", ["well", "with an error", "cancelled", "not at all"])
def test_work_that_ends_after_main_was_cancelled(ending: str) -> None:
    """A server that finishes its answers in the second of its cancellation has cut off nothing."""

    async def main() -> None:
        play = await Play().open()
        answers = asyncio.Event()

        async def answer(*_: Any) -> None:
            await answers.wait()
            if ending == "with an error":
                raise ValueError("the database is closed")

        async def export() -> None:
            with play.life.track(name="export"):
                await answer()

        middleware = Middleware(answer, play.life)
        tasks = [
            asyncio.ensure_future(middleware(scope("/export"), never, nowhere)),
            asyncio.ensure_future(export()),
        ]
        await asyncio.sleep(0)
        play.deaf = True
        play.host.cancels_main = True  # type: ignore[misc]
        cancel = play.host.cancel_main

        def cancel_main() -> None:
            if ending in ("well", "with an error"):
                answers.set()
            elif ending == "cancelled":
                for each in tasks:
                    each.cancel()
            cancel()

        play.host.cancel_main = cancel_main  # type: ignore[method-assign]
        play.signal()
        await play.end()
        answers.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        told = [each.split(",")[0] for each in play.report["cut_off"]]
        cut = ending in ("cancelled", "not at all")
        named = ["GET /export from curl/8", "export"] if cut else []
        assert told == ["main", *named]

    run(main())
