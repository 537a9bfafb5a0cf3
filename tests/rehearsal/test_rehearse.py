"""`lifecycle rehearse` with real commands: what it finds, what it says, how it ends."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from tests.process.kit import wait_for
from tests.rehearsal.commands import (
    AT_ONCE,
    BREAKING,
    HERE,
    LIFECYCLE,
    LONGEST,
    RUNS,
    Done,
    rehearse,
)

pytestmark = pytest.mark.timeout(5 * LONGEST)
"""They share rehearsals, of which a few run at a time. Each of these has its own deadline."""
EXIT_CODES = {"passed": 0, "lost": 1, "hook failed": 2, "inconclusive": 3}
HEADS = ("lost ", "nothing was lost", "INCONCLUSIVE: ")


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("reports")


@pytest.fixture(scope="session")
def runs(request: pytest.FixtureRequest, folder: Path) -> Iterator[dict[str, Future[Done]]]:
    """All rehearsals, a few at a time: the longest first, and then what ends at once."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {name: pool.submit(rehearse, name, folder) for name in RUNS}


def result(runs: dict[str, Future[Done]], name: str) -> dict[str, Any]:
    done = runs[name].result(4 * LONGEST)
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


def causes(found: dict[str, Any]) -> set[tuple[str, str]]:
    return {(each["cause"], each["connection"]) for each in found["causes"]}


def test_uvicorn_alone_loses_requests(runs):
    """It loses on new and on kept connections, and both are named, explained and placed."""
    found = result(runs, "uvicorn")
    assert runs["uvicorn"].result().returncode == 1
    assert found["lost_new"] > 0
    assert found["lost_kept"] > 0
    assert found["lost"] == found["lost_new"] + found["lost_kept"]
    assert {("refused", "new"), ("reset", "kept")} <= causes(found)
    assert found["prestop"] == "none (nothing listens on LIFECYCLE_QOS_PORT)"
    for each in found["causes"]:
        assert each["why"]
        assert each["change"]
        assert sum(each["when"].values()) == each["count"]
    refused = next(each for each in found["causes"] if each["cause"] == "refused")
    assert set(refused["when"]) <= {"after the listener closed", "after its exit"}
    assert 0 <= refused["first_from_t0"] <= refused["last_from_t0"] < 3


OPEN = "after SIGTERM, listener open"


def test_new_connections_that_are_closed_as_idle(runs):
    """A client that connects and asks later is lost, and it is said why and what to change."""
    early = cause(result(runs, "first"), "closed unasked", "new")
    assert OPEN in early["when"]
    assert "treated the connection as idle" in early["why"]
    assert "close only connections that have had an answer" in early["change"]


def test_posts_on_kept_connections_that_are_closed_as_idle(runs):
    """A POST that meets the server's close is lost, and it is said that no client repeats it."""
    found = result(runs, "idle")
    assert found["lost_kept"] > found["lost_new"]
    idle = cause(found, "reset", "kept")
    assert OPEN in idle["when"]
    assert "No client library sends a POST again" in idle["why"]
    assert "Connection: close" in idle["change"]


def test_uploads_that_are_cut(runs):
    """A body that was arriving is lost with the server that had it, and it is said how much had."""
    found = result(runs, "upload")
    cut = cause(found, "upload cut", "new")
    assert OPEN in cut["when"]
    assert "while the body of the request was arriving" in cut["why"]
    assert "in flight from its first byte" in cut["change"]
    assert all("bytes of the request had been sent" in each for each in cut["details"])


def test_clients_that_a_listener_leaves_in_its_queue(runs):
    """Every client had heard, and those that were waiting are reset: nothing else was wrong."""
    found = result(runs, "queue")
    others = causes(found) - {("reset in the queue", "new")}
    assert not others or found["lost_in_doubt"]
    queue = cause(found, "reset in the queue", "new")
    assert "accept queue" in queue["why"]
    assert "Accept every connection in the queue before you close" in queue["change"]


@pytest.mark.parametrize("name", ["first", "idle", "upload", "queue"])
def test_a_fault_has_its_exit_code(runs, name: str):
    """A loss that no noise explains is enough for "lost"; without one it is "inconclusive"."""
    found = result(runs, name)
    assert found["lost"] > 0
    assert found["verdict"] == ("lost" if beyond_doubt(found) else "inconclusive")
    assert runs[name].result().returncode == EXIT_CODES[found["verdict"]]


@pytest.mark.parametrize("name", ["our uploads", "our posts"])
def test_lifecycle_run_has_none_of_these_faults(runs, name: str):
    """Late first requests, slow uploads over HTTP/1.1 and HTTP/2, POSTs on idle connections."""
    found = result(runs, name)
    assert beyond_doubt(found) == 0, found["causes"]
    assert set(found["statuses"]) == {"200"}
    assert found["requests"] > 100


def beyond_doubt(found: dict[str, Any]) -> int:
    """Return how many losses no noise on this machine can explain."""
    lost: int = found["lost"] - found["lost_in_doubt"]
    return lost


def cause(found: dict[str, Any], name: str, connection: str) -> dict[str, Any]:
    """Return the most frequent losses of one kind."""
    return next(
        each
        for each in found["causes"]
        if (each["cause"], each["connection"]) == (name, connection)
    )


def test_each_rollout_is_told(runs):
    """Seconds and exit codes of each, and of each replica the moments in their order."""
    found = result(runs, "uvicorn")
    assert [each["rollout"] for each in found["rollouts"]] == [1, 2, 3]
    for rollout in found["rollouts"]:
        assert rollout["seconds"] > 0
        assert len(rollout["exit_codes"]) == len(rollout["replicas"]) == 2
        for replica in rollout["replicas"]:
            moments = ["started", "ready", "deleted", "sigterm", "listener_closed", "exited"]
            times = [replica[each] for each in moments]
            assert times == sorted(times)
            assert (replica["killed"], replica["sigkill"]) == (False, None)


def test_the_load_generator_tells_how_late_it_was(runs):
    """Its own lateness is part of the result: median, 99th percentile, worst."""
    for name in ("uvicorn", "ours"):
        own = result(runs, name)["load_generator"]
        assert own["scheduled"] > 100
        assert 0 < own["late_p50_ms"] <= own["late_p99_ms"] <= own["late_max_ms"]
        assert own["own_errors"] == {}


def test_lifecycle_run_loses_nothing(runs):
    """New and kept connections, HTTP/1.1, HTTP/2 and WebSocket, slow requests: none is lost."""
    found = result(runs, "ours")
    assert beyond_doubt(found) == 0, found["causes"]
    assert found["verdict"] in ("passed", "inconclusive")  # by what else runs beside this
    assert runs["ours"].result().returncode == EXIT_CODES[found["verdict"]]
    assert found["requests"] > 500
    assert found["longest"] > 1
    assert set(found["statuses"]) == {"101", "200"}
    assert (found["ready"], found["prestop"]) == (
        "/ready on the QOS port",
        "lifecycle prestop (the app answers on the QOS port)",
    )
    assert found["rollouts"][0]["exit_codes"] == [0, 0]
    assert found["rollouts"][0]["exit_code"] == 0


def test_what_is_in_flight_is_not_waited_for(runs):
    """A server that leaves at once cuts requests off: named as such, on T0's side of its exit."""
    found = result(runs, "cut")
    assert ("cut", "new") in causes(found)
    assert found["rollouts"][0]["exit_codes"] == [7, 7]
    assert any("ended with exit code 7" in each for each in found["findings"])


def test_sigkill_is_a_finding(runs):
    """Who needs SIGKILL has been rehearsed all the same, and is told why."""
    found = result(runs, "killed")
    assert runs["killed"].result().returncode == EXIT_CODES[found["verdict"]]
    assert found["rollouts"][0]["exit_codes"] == [137, 137]
    assert all(each["killed"] for each in found["rollouts"][0]["replicas"])
    assert any("SIGKILL" in each and "no handler" in each for each in found["findings"])
    assert any("no connection was kept" in each for each in found["findings"])


def test_a_shell_that_keeps_sigterm_is_a_finding(runs):
    """The hook saves the requests, but the app ends only at its deadline."""
    found = result(runs, "shell")
    assert found["lost"] == 0
    assert not any(each["killed"] for each in found["rollouts"][0]["replicas"])
    assert any("got no SIGTERM" in each and "exec" in each for each in found["findings"])


def test_what_a_person_reads(runs):
    """The verdict first, then the tables, each cause with what to change, and its own lateness."""
    done = runs["text"].result(LONGEST)
    assert done.stdout.startswith(HEADS)
    for part in ("on new connections", "ROLLOUT", "preStop: sleep 1", "p50 "):
        assert part in done.stdout
    if done.returncode == 1:
        assert "change:" in done.stdout


def test_progress_goes_to_stderr_in_plain_lines(runs):
    """Where no terminal is, each step is a line, and nothing needs rich."""
    said = runs["text"].result(LONGEST).stderr
    assert "trying the command" in said
    assert re.search(r"rollout 1 of 1: app-3 is ready, app-1 is deleted · [\d,]+ requests", said)
    assert "\x1b" not in said


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("no such command", "did not start: .*No such file or directory: 'no-such-command-here'"),
        ("fails", r"did not start: exit code 1\n  \| no database"),
        ("no port", r"nothing listens on port \d+ after 0.5 s\. .* The command has no {port}"),
        (
            "never ready",
            r"app-\d is not ready after 6 s .*statuscode: 404\. The app has no such path",
        ),
        ("other port", r"listens on port \d+, and not on \d+, .* Write {port} where"),
        ("wrong port", r"Write {port} instead: .* http.server --bind 127.0.0.1 {port}\. If"),
        ("error", "http1 /broken: answered with 500, before any rollout"),
        ("no POST", "http1 /shop.py: answered with 501, before any rollout"),
        ("no http2", "http2 /: .*before any rollout"),
        ("no websocket", "websocket /: no WebSocket there: answered with 200"),
        ("no qos", "--prestop exec: nothing listens on LIFECYCLE_QOS_PORT"),
        ("bad option", "--kept 2: must be a number from 0 to 1"),
        ("bad report", "--report /no/such/folder/out.html: No such file or directory"),
        ("bad junit", "--junit /no/such/folder/junit.xml: No such file or directory"),
        ("no such hook", "--prestop no-such-hook --now: cannot run no-such-hook in the container"),
        ("no dashes", "put -- before the command"),
    ],
)
def test_what_cannot_be_rehearsed(runs, name: str, reason: str):
    """Exit code 2, with a reason a person can act on, nothing on stdout and no traceback."""
    done = runs[name].result(4 * LONGEST)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.search(reason, done.stderr), done.stderr
    assert "Traceback" not in done.stderr


def test_a_report_that_cannot_be_written(runs):
    """The result is told all the same, and what could not be written is named."""
    done = runs["full report"].result(LONGEST)
    assert done.returncode in (1, 2, 3)
    assert done.stdout.startswith(HEADS)
    assert "lifecycle: --report /dev/full: No space left on device" in done.stderr


def test_there_is_no_report_without_a_result(runs, folder: Path):
    """Not even an empty one."""
    assert runs["fails"].result(LONGEST).returncode == 2
    assert not (folder / "fails.html").exists()


def children(pid: int) -> set[int]:
    """Return the process ids of all that a process has started, and theirs."""
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        own = {int(word) for word in file.read().split()}
    return own.union(*(children(child) for child in own))


@pytest.mark.parametrize(
    ("sent", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGKILL, -9)],
    ids=["ctrl-c", "sigterm", "the terminal is closed", "sigkill"],
)
def test_who_has_seen_enough(sent: signal.Signals, code: int, tmp_path: Path):
    """A rehearsal that is broken off leaves no process, no empty report and no traceback."""
    report = tmp_path / "report.html"
    options = ["--prestop", "sleep:20", "--report", str(report)]
    words = [*LIFECYCLE, "rehearse", *options, "--", *BREAKING]
    process = subprocess.Popen(words, cwd=HERE, stderr=subprocess.PIPE, text=True)
    try:
        said = ""
        while "is deleted" not in said:
            line = process.stderr.readline()
            assert line, said
            said += line
        started = children(process.pid)
        process.send_signal(sent)
        _, rest = process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == code
    assert "Traceback" not in rest
    assert len(started) >= 3
    wait_for(
        lambda: not any(map(running, started)),
        LONGEST,
        lambda: (
            f"the end of {[Path(f'/proc/{pid}/cmdline').read_bytes() for pid in started if running(pid)]}"
        ),
    )
    assert not report.exists()


def running(pid: int) -> bool:
    """Tell whether a process runs: one that waits to be reaped, by whoever it is, does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def command(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


class Page(HTMLParser):
    """Takes a page apart, and sees that what is opened is closed."""

    VOID = ("meta", "link", "br")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def classes(self, name: str) -> int:
        return sum(name in (attrs.get("class") or "").split() for _, attrs in self.found)


@pytest.mark.parametrize("name", ["uvicorn", "ours"])
def test_the_report(runs, folder: Path, name: str):
    """It is one page that loads nothing, with a picture a rollout and a mark a loss."""
    found = result(runs, name)
    text = (folder / f"{name}.html").read_text(encoding="utf-8")
    page = Page(text)
    pictures = re.findall(r"<svg xmlns.*?</svg>", text, re.DOTALL)
    assert len(pictures) == len(found["rollouts"])
    marks = 0
    for picture in pictures:
        root = ET.fromstring(picture)
        marks += sum(each.get("class") == "mark" for each in root.iter())
        titled = [each for each in root.iter() if each.get("class") == "mark"]
        assert all(each[0].text for each in titled)
        names = {each.text for each in root.iter() if each.get("class") == "name"}
        assert len(names) == 4
        styles = {each.get("class") for each in root.iter()}
        assert {"starting", "ready", "stopping", "known", "new", "kept"} <= styles
    assert marks == found["lost"]
    assert page.classes("cause") == len(found["causes"])
    assert "prefers-color-scheme: dark" in text
    sources = [
        value
        for _, attrs in page.found
        for key, value in attrs.items()
        if key in ("src", "href") or "url(" in (value or "")
    ]
    assert sources == ["data:,"]
    assert "@import" not in text
    assert not any(tag == "script" for tag, _ in page.found)
