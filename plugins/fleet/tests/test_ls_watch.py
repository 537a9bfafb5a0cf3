"""`ls --watch` as a real process: what it prints when, and what it says when the server is away."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from plugins.fleet.tests.api_server import LATEST, ApiServer
from plugins.fleet.tests.objects import ended, hook_failed, piece, pod, told

COMMAND = [sys.executable, "-c", "from lifecycle_fleet.kubectl import main; main()"]


class Watched:
    """A process whose lines are read."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self._lines: dict[str, queue.Queue[str]] = {}
        for name in ("stdout", "stderr"):
            self._lines[name] = queue.Queue()
            args = (getattr(process, name), self._lines[name])
            threading.Thread(target=_read, args=args, daemon=True).start()

    def out(self) -> str:
        """Return the next line of stdout."""
        return self._lines["stdout"].get(timeout=LATEST)

    def err(self) -> str:
        """Return the next line of stderr."""
        return self._lines["stderr"].get(timeout=LATEST)

    def nothing_more(self) -> bool:
        """Tell whether there is no line that was not read."""
        return self._lines["stdout"].empty()


def _read(stream: IO[str], lines: queue.Queue[str]) -> None:
    for line in stream:
        lines.put(line.rstrip("\n"))


@contextmanager
def watching(*words: str) -> Iterator[Watched]:
    process = subprocess.Popen(
        [*COMMAND, "ls", "--watch", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ.copy(),
    )
    try:
        yield Watched(process)
        process.send_signal(signal.SIGINT)
        assert process.wait(LATEST) == 130
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def cells(line: str) -> list[str]:
    return line.split()


@pytest.mark.usefixtures("kubeconfig")
def test_a_line_for_each_change(api: ApiServer) -> None:
    """All pods first, then one line a change of a pod, its slices or its Events, and its end."""
    api.put("pods", pod("one", annotation=told("starting", 3), ready=False))
    with watching() as watch:
        head = watch.out()
        assert cells(head)[:5] == ["WORKLOAD", "REVISION", "POD", "STATE", "SINCE"]
        assert cells(watch.out())[2:4] == ["one", "starting"]
        api.put("pods", pod("one", annotation=told("ready", 1)))
        assert cells(watch.out())[2:4] == ["one", "ready"]
        api.put("endpointslices", piece({"one": True}))
        line = watch.out()
        assert line[head.index("IN-SLICES") :].startswith("yes")
        api.put("events", hook_failed("one"))
        assert watch.out().endswith("hook failed")
        api.put("pods", pod("two", annotation=told()))
        assert cells(watch.out())[2:4] == ["two", "ready"]
        api.delete("pods", "shop", "one")
        assert cells(watch.out())[2:4] == ["one", "gone"]
        assert watch.nothing_more()


@pytest.mark.usefixtures("kubeconfig")
def test_what_is_the_same_is_not_printed(api: ApiServer) -> None:
    """A change that `ls` does not show, a foreign pod, and another namespace print nothing."""
    one = pod("one", annotation=told())
    api.put("pods", one)
    with watching("--no-headers") as watch:
        watch.out()
        api.patch("pods", "shop", "one", {"metadata": {"labels": {"x": "y"}}})
        api.put("pods", pod("foreign"))
        api.put("pods", pod("far", namespace="zoo", annotation=told()))
        api.put("pods", pod("two", annotation=told()))
        assert cells(watch.out())[2] == "two"
        assert watch.nothing_more()


@pytest.mark.usefixtures("kubeconfig")
def test_data_is_one_object_a_line(api: ApiServer) -> None:
    """Each line is a pod as JSON. One that is gone says so, and how it ended."""
    api.put("pods", pod("one", annotation=told()))
    with watching("-o", "json") as watch:
        first = json.loads(watch.out())
        assert (first["name"], first["state"]) == ("one", "ready")
        last = api.objects["pods", "shop", "one"]["status"]["containerStatuses"][0]
        last["state"] = {"terminated": ended(124)}
        api.delete("pods", "shop", "one")
        gone = json.loads(watch.out())
        assert (gone["state"], gone["kind"], gone["last_end"]["how"]) == (
            "gone",
            "ended",
            "cut off",
        )


@pytest.mark.usefixtures("kubeconfig")
def test_yaml_is_one_document_a_pod(api: ApiServer) -> None:
    """Each pod begins a document."""
    api.put("pods", pod("one", annotation=told()))
    with watching("-o", "yaml") as watch:
        assert [watch.out() for _ in range(3)] == ["---", "namespace: shop", "name: one"]


def stop_and_start(api: ApiServer) -> None:
    api.stop()
    api.start()


@pytest.mark.usefixtures("kubeconfig")
@pytest.mark.parametrize(
    "trouble",
    [
        ApiServer.end_watches,
        lambda api: api.end_watches(reset=True),
        ApiServer.expire,
        ApiServer.bookmark,
        stop_and_start,
    ],
    ids=["polite end", "reset", "410", "bookmark", "restart"],
)
def test_nothing_is_missed(api: ApiServer, trouble: Callable[[ApiServer], None]) -> None:
    """Whatever happens to the watches, the next change of a pod is printed, once."""
    api.put("pods", pod("one", annotation=told("starting")))
    with watching("--no-headers") as watch:
        watch.out()
        api.wait(lambda: api.watches == 3, "it watches pods, slices and Events")
        trouble(api)
        api.put("pods", pod("one", annotation=told("ready")))
        assert cells(watch.out())[2:4] == ["one", "ready"]
        assert watch.nothing_more()


@pytest.mark.usefixtures("kubeconfig")
def test_a_server_that_is_away_is_named_once(api: ApiServer) -> None:
    """One line says it, one line says that it is back, and what has changed meanwhile is printed."""
    api.put("pods", pod("one", annotation=told("starting")))
    with watching("--no-headers") as watch:
        watch.out()
        api.wait(lambda: api.watches == 3, "it watches pods, slices and Events")
        api.stop()
        problem = watch.err()
        api.put("pods", pod("one", annotation=told("ready")))
        api.start()
        assert cells(watch.out())[2:4] == ["one", "ready"]
        assert problem.startswith("lifecycle: API server: ")
        assert watch.err() == "lifecycle: the API server answers again"


@pytest.mark.usefixtures("kubeconfig")
def test_a_kind_that_may_not_be_watched(api: ApiServer) -> None:
    """The column says ?, and the pods are watched."""
    api.forced["list endpointslices"] = 403
    api.put("pods", pod("one", annotation=told("starting")))
    with watching() as watch:
        assert "the column IN-SLICES shows ?" in watch.err()
        head, line = watch.out(), watch.out()
        assert line[head.index("IN-SLICES")] == "?"
        api.put("pods", pod("one", annotation=told("ready")))
        assert cells(watch.out())[2:4] == ["one", "ready"]


def test_a_first_list_that_fails_is_an_error(api: ApiServer, kubeconfig: Path) -> None:
    """There is nothing to watch, so it ends, with one message."""
    api.forced["list pods"] = 403
    done = subprocess.run(
        [*COMMAND, "ls", "--watch"], capture_output=True, text=True, timeout=LATEST, check=False
    )

    assert done.returncode == 1
    assert done.stderr.startswith("lifecycle: API server: forbidden: ")
    assert "Traceback" not in done.stderr


def test_a_reader_that_goes_away(api: ApiServer, kubeconfig: Path) -> None:
    """`ls --watch | head -2` is quiet, and ends with the next change as a shell expects it."""
    api.put("pods", pod("one", annotation=told("starting")))
    with subprocess.Popen(
        [*COMMAND, "ls", "--watch"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        for _ in range(2):
            process.stdout.readline()
        api.wait(lambda: api.watches == 3, "it watches pods, slices and Events")
        process.stdout.close()
        api.put("pods", pod("one", annotation=told("ready")))
        assert process.stderr.read() == b""
        assert process.wait(LATEST) == 141
