"""
`lifecycle fleet serve` on a real API server, with 1,000 and 5,000 pods and 50 changes a second.

`make fleet` takes some minutes, needs root, and the programs of `tests/cluster`. There is no kubelet:
the pods are objects. The server runs with the account and the rights that
`lifecycle manifests --profile=control-plane` writes, and no others. In the middle, the API server is
killed and started again.

Printed are the memory, the time from a change to a reader of the stream and to the page in Chromium,
the time to the first picture with pods, and the lists that were requested.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any, Final, NamedTuple

from rich.console import Console
from rich.table import Table

from benchmarks.fleet_cluster import ApiServer, Cluster, account, api_server, cluster
from lifecycle.testing import free_port
from tests.page.browser import Tab, chromium
from tests.process.kit import QUICK, App, wait_for

RATE: Final = 50.0
ASKED: Final = 40
"""Changes that are timed."""
LATEST: Final = 60.0
BUDGET: Final = {"memory": 150.0, "change": 1.0, "paint": 1.0}
"""MiB and seconds."""


class Measured(NamedTuple):
    """
    One run.

    Attributes:
        pods: How many pods.
        ready: Seconds from the start of the process to READY.
        memory: The most memory, in MiB.
        stream: Seconds from the request of a change to a reader of the stream: median and worst.
        page: Seconds from a change to the page: median and worst.
        paint: Seconds from the request of the page to its first picture with pods: median and worst.
        lists: Lists of pods, EndpointSlices and Events, before and after the restart.
        away: Seconds from the end of the API server to the first change that a reader saw.
        same: Whether the view was the same as the list of the API server at the end.
        rate: Changes a second, meanwhile.
    """

    pods: int
    ready: float
    memory: float
    stream: tuple[float, float]
    page: tuple[float, float]
    paint: tuple[float, float]
    lists: tuple[str, str]
    away: float
    same: bool
    rate: float


class Stream:
    """
    A reader of the stream, in a thread.

    Args:
        port: The port of the server.
        looks: Whether it takes the pods. Otherwise it throws them away.
    """

    def __init__(self, port: int, *, looks: bool) -> None:
        self._looks = looks
        self.seen: dict[str, float] = {}
        """When a cause was seen first."""
        self.pods: dict[str, Any] = {}
        self.whole = threading.Event()
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LATEST)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End it."""
        if self._connection.sock is not None:
            self._connection.sock.shutdown(2)
        self._thread.join(10)

    def _read(self) -> None:
        self._connection.request("GET", "/events", headers={"Accept": "text/event-stream"})
        answer = self._connection.getresponse()
        name = ""
        while line := answer.readline():
            if line.startswith(b"event: "):
                name = line[7:-1].decode()
            elif line.startswith(b"data: ") and name == "change" and self._looks:
                at, data = time.time(), json.loads(line[6:])
                for namespace, pod in data.get("gone", ()):
                    self.pods.pop(f"{namespace}/{pod}", None)
                for pod in data["pods"]:
                    self.pods[f"{pod['namespace']}/{pod['name']}"] = pod
                    self.seen.setdefault(pod["told"]["cause"], at)
            elif name == "whole":
                self.whole.set()


@contextmanager
def served(kubeconfig: Path, folder: Path) -> Iterator[tuple[App, int, float]]:
    """Run the server: the process, its port, and the seconds to READY."""
    port, began = free_port(), time.monotonic()
    argv = ["-m", "lifecycle", "fleet", "serve", "--bind", f"127.0.0.1:{port}", "-A"]
    env = QUICK | {"KUBECONFIG": str(kubeconfig), "PORT": str(port)}
    with App.start(argv, cwd=folder, env=env) as app:
        app.wait_state("ready", LATEST)
        yield app, port, time.monotonic() - began


def memory(pid: int) -> float:
    """Return the most memory that a process has had, in MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(each.split()[1]) / 1024 for each in lines if each.startswith("VmHWM"))


def lists(port: int) -> str:
    """Return how many lists the server has requested."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LATEST)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    found = dict(
        line.removeprefix('pod_lifecycle_fleet_lists_total{kind="').split('"} ')
        for line in text.splitlines()
        if line.startswith("pod_lifecycle_fleet_lists_total{")
    )
    kinds = ("pods", "endpointslices", "events")
    return " + ".join(f"{float(found[each]):.0f}" for each in kinds)


FIRST: Final = """
window.painted = new Promise((done) => {
  const look = () => document.querySelector('#main:not([hidden]) .lane i')
    ? requestAnimationFrame(() => setTimeout(() => done(performance.now()), 0))
    : setTimeout(look, 5);
  look();
});
"""
WATCHED: Final = """
window.noticed = {};
new MutationObserver(() => {
  const text = document.querySelector('#problems').textContent;
  for (const [word] of text.matchAll(/mark-[0-9]+/g)) window.noticed[word] ??= Date.now() / 1000;
}).observe(document.querySelector('#problems'), { subtree: true, childList: true, characterData: true });
"""


def first_paint(tab: Tab, port: int) -> float:
    """Return the seconds to the first picture with pods."""
    tab.open("about:blank")
    script = tab.send("Page.addScriptToEvaluateOnNewDocument", source=FIRST)["identifier"]
    tab.open(f"http://127.0.0.1:{port}/")
    seconds = tab.js("window.painted") / 1000
    tab.send("Page.removeScriptToEvaluateOnNewDocument", identifier=script)
    return float(seconds)


async def timed_changes(
    objects: Cluster, stream: Stream, tab: Tab
) -> tuple[list[float], list[float]]:
    """Change one pod again and again, and return the seconds to the stream and to the page."""
    namespace, name = objects.names[0]
    await asyncio.to_thread(tab.js, WATCHED)
    to_stream, to_page = [], []
    for number in range(ASKED):
        cause, at = f"mark-{time.time_ns() // 1000}{number}", time.time()
        await objects.change(namespace, name, "failed", cause)
        stored = time.time()
        await asyncio.to_thread(wait_for, lambda c=cause: c in stream.seen, LATEST, cause)
        to_stream.append(stream.seen[cause] - at)
        found = await asyncio.to_thread(
            tab.until, f"window.noticed[{cause!r}] ? [window.noticed[{cause!r}]] : 0"
        )
        to_page.append(found[0] - at)
        if found[0] - at > BUDGET["change"]:
            print(
                f"change {number}: stored after {stored - at:.2f} s, seen after {to_stream[-1]:.2f} s",
                file=sys.stderr,
            )
        await asyncio.sleep(0.13)
    return to_stream, to_page


async def same_view(objects: Cluster, stream: Stream) -> bool:
    """Tell whether a reader sees what the API server has."""

    async def looks() -> bool:
        there: dict[str, str] = {}
        onwards = ""
        while True:
            page = await objects.ask("GET", f"/api/v1/pods?limit=500{onwards}")
            for each in page["items"]:
                metadata = each["metadata"]
                told = json.loads(metadata["annotations"]["pod-lifecycle.dev/status"])
                there[f"{metadata['namespace']}/{metadata['name']}"] = told["since"]
            if not (token := page["metadata"].get("continue")):
                break
            onwards = f"&continue={token}"
        return there == {name: pod["told"]["since"] for name, pod in stream.pods.items()}

    for _ in range(50):
        if await looks():
            return True
        await asyncio.sleep(0.2)
    return False


async def measure(server: ApiServer, tab: Tab, folder: Path, pods: int, readers: int) -> Measured:
    """Fill the cluster, run the server, and look at it from all sides."""
    argv = ["manifests", "--name", "page", "--image", "x:1", "--profile", "control-plane"]
    argv += ["--namespace", "tools", "-o", "json"]
    done = subprocess.run(
        [sys.executable, "-m", "lifecycle", *argv], capture_output=True, text=True, check=True
    )
    made = json.loads(done.stdout)["items"]
    async with cluster(server, pods) as objects:
        began = time.monotonic()
        await objects.fill()
        print(f"{pods} pods made in {time.monotonic() - began:.0f} s", file=sys.stderr)
        token = await account(objects, made, "tools")
        kubeconfig = server.with_token(token, folder)
        with ExitStack() as stack:
            app, port, ready = stack.enter_context(served(kubeconfig, folder))
            streams = [Stream(port, looks=number == 0) for number in range(readers + 1)]
            for each in streams:
                stack.callback(each.close)
                await asyncio.to_thread(each.whole.wait, LATEST)
            changing = asyncio.create_task(objects.keep_changing(RATE))
            paints = []
            for _ in range(5):
                paints.append(await asyncio.to_thread(first_paint, tab, port))
            began, so_far = time.monotonic(), objects.changed
            to_stream, to_page = await timed_changes(objects, streams[0], tab)
            rate = (objects.changed - so_far) / (time.monotonic() - began)
            before = lists(port)
            away = await restart(server, objects, streams[0])
            changing.cancel()
            await asyncio.wait({changing})
            same = await same_view(objects, streams[0])
            await asyncio.to_thread(tab.open, "about:blank")
            return Measured(
                pods=pods,
                ready=ready,
                memory=memory(app.pid),
                stream=(median(to_stream), max(to_stream)),
                page=(median(to_page), max(to_page)),
                paint=(median(paints), max(paints)),
                lists=(before, lists(port)),
                away=away,
                same=same,
                rate=rate,
            )


async def restart(server: ApiServer, objects: Cluster, stream: Stream) -> float:
    """Kill the API server, start it again, and return the seconds until a change is seen."""
    began = time.monotonic()
    await asyncio.to_thread(server.kill)
    server.start()
    await asyncio.to_thread(server.wait)
    cause = f"back-{time.time_ns()}"
    await objects.change(*objects.names[0], "ready", cause)
    await asyncio.to_thread(wait_for, lambda: cause in stream.seen, LATEST, "a change after it")
    return time.monotonic() - began


def main() -> int:
    """Measure with each number of pods, and print a table. Returns 1 if a budget is not kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pods", nargs="*", type=int, default=[1000, 5000], metavar="PODS")
    parser.add_argument("--readers", type=int, default=20, help="more readers of the stream")
    options = parser.parse_args()
    if shutil.which("chromium") is None:
        print("fleet: this benchmark needs chromium", file=sys.stderr)
        return 2
    table = Table(title=f"The page of the fleet, with {options.readers} more readers")
    for head in (
        *(
            "pods",
            "changes",
            "READY after",
            "memory",
            "change to stream",
            "change to page",
            "first paint",
        ),
        *("lists: pods + slices + events", "API server back, seen after", "same view"),
    ):
        table.add_column(head)
    kept = True
    for pods in options.pods:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fleet-")))
            tab = stack.enter_context(chromium(folder / "profile"))
            server = stack.enter_context(api_server())
            found = asyncio.run(measure(server, tab, folder, pods, options.readers))
        table.add_row(*_row(found))
        kept = kept and _is_kept(found)
    Console(width=200).print(table)
    return 0 if kept else 1


def _row(found: Measured) -> list[str]:
    def pair(values: tuple[float, float]) -> str:
        return f"{values[0]:.2f} s, at most {values[1]:.2f} s"

    return [
        f"{found.pods:,}",
        f"{found.rate:.0f} a second",
        f"{found.ready:.1f} s",
        f"{found.memory:.0f} MiB",
        *map(pair, (found.stream, found.page, found.paint)),
        f"{found.lists[0]}, then {found.lists[1]}",
        f"{found.away:.1f} s",
        "yes" if found.same else "NO",
    ]


def _is_kept(found: Measured) -> bool:
    return (
        found.memory <= BUDGET["memory"]
        and max(*found.stream, *found.page) < BUDGET["change"]
        and max(found.paint) < BUDGET["paint"]
        and found.lists[0] == "1 + 1 + 1"
        and found.same
    )


if __name__ == "__main__":
    sys.exit(main())
