"""Every path of the QOS port: who answers what, in which words."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from tests.process import wire
from tests.process.kit import App

TOKEN = "correct-horse-battery"

SERVICES = """
import asyncio, os
import lifecycle
from lifecycle import Command, Level, ProbeResult, hookimpl

class Own:
    @hookimpl
    def lifecycle_readiness(self):
        return [ProbeResult(True, "seven of ten", "pool"), ProbeResult(True, "", "queue")]

    @hookimpl
    def lifecycle_commands(self):
        async def greet(request):
            return {"hello": request.arguments.get("name", "world")}

        def touch(request):
            return "touched by " + request.caller

        return [
            Command("greet", greet, "says hello", Level.PUBLIC),
            Command("touch", touch, "touches", changes=True),
            Command("secret", lambda request: "shh", "whispers", Level.PRIVATE),
            Command("broken", lambda request: 1 / 0, "divides"),
        ]

async def main(life):
    life.use(Own(), name="own")
    life.export("orders", port=int(os.environ["PORT"]))
    life.export("billing", port=9000)
    await life.ready()
    await life.drained()

import logging
logging.basicConfig(level="INFO")
lifecycle.run(main)
"""


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """Serve two services and a plugin's commands."""
    env = {
        "LIFECYCLE_PRESTOP_TOKEN": TOKEN,
        "LIFECYCLE_SETTLE": "0.1",
        "LIFECYCLE_QUIET": "0.1",
        "LIFECYCLE_PLUGINS": "no:prometheus",  # which has a path of its own
    }
    with App.start(SERVICES, cwd=tmp_path_factory.mktemp("qos"), env=env) as app:
        app.wait_state("ready")
        assert app.get("/startup")[0] == 200  # until it was asked once, readiness shows it too
        yield app
        assert "Traceback" not in app.stderr, app.stderr


@pytest.fixture
def at(app: App) -> tuple[str, int]:
    return ("127.0.0.1", app.qos)


@pytest.mark.parametrize("path", ["live", "ready", "startup", "livez", "readyz", "startupz"])
@pytest.mark.parametrize("suffix", ["", "/", "?", "?x=1"])
def test_a_true_probe(at: tuple[str, int], path: str, suffix: str) -> None:
    """A probe that is true says exactly `true` with 200, and nothing else."""
    answer = wire.ask(at, f"/{path}{suffix}")

    assert (answer.status, answer.body) == (200, b"true")
    assert answer.headers["content-type"] == "text/plain"
    assert answer.headers["cache-control"] == "no-store"
    assert "server" not in answer.headers


@pytest.mark.parametrize("path", ["/live", "/ready?verbose", "/status", "/help"])
def test_head(at: tuple[str, int], path: str) -> None:
    """HEAD says what GET would, without the body."""
    answer = wire.ask(at, path, method="HEAD")

    assert (answer.status, answer.body) == (200, b"")
    assert int(answer.headers["content-length"]) > 0


def test_verbose(at: tuple[str, int]) -> None:
    """`?verbose` gives each probe a line: name, verdict, milliseconds, age, reason."""
    *lines, last = wire.ask(at, "/ready?verbose").text.splitlines()

    shape = re.compile(r"\[\+\] (\S+) ok \(\d+\.\d ms, \d+\.\d s ago\)(: .+)?")
    names = [found[1] for line in lines if (found := shape.fullmatch(line))]
    assert names == ["state", "services", "loop", "own.pool", "own.queue"]
    assert "seven of ten" in lines[3]
    assert last == "readiness passed"


def test_json(at: tuple[str, int]) -> None:
    """`Accept: application/json` gives the same as JSON."""
    answer = wire.ask(at, "/ready", headers=("Accept: application/json",))

    assert answer.headers["content-type"] == "application/json"
    said = json.loads(answer.body)
    assert said["ok"] is True
    pool = next(each for each in said["probes"] if each["name"] == "own.pool")
    assert {name: pool[name] for name in ("ok", "reason", "stale")} == {
        "ok": True,
        "reason": "seven of ten",
        "stale": False,
    }
    assert pool["ms"] >= 0
    assert pool["age"] >= 0


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/ready?exclude=services&verbose", ["state", "loop", "own.pool", "own.queue"]),
        ("/ready?exclude=own&exclude=state&verbose", ["services", "loop"]),
        ("/ready?exclude=startup&verbose", ["state", "services", "loop", "own.pool", "own.queue"]),
        ("/ready/startup?verbose", ["startup"]),
        ("/ready?exclude=own.pool&verbose", ["state", "services", "loop", "own.queue"]),
        ("/ready/services?verbose", ["services"]),
        ("/ready/own?verbose", ["own.pool", "own.queue"]),
        ("/readyz/own.queue?verbose", ["own.queue"]),
        ("/startup/state?verbose", ["state"]),
    ],
)
def test_filters(at: tuple[str, int], path: str, names: list[str]) -> None:
    """`?exclude=NAME` leaves probes out, and `/ready/NAME` asks one only."""
    answer = wire.ask(at, path)

    assert answer.status == 200
    assert names == re.findall(r"^\[.\] (\S+)", answer.text, re.MULTILINE)


def target(at: tuple[str, int], url: str, *headers: str) -> wire.Answer:
    """Ask with this very target, and these headers."""
    lines = (f"GET {url} HTTP/1.1", "Connection: close", *headers, "", "")
    return wire.read(wire.exchange(at, "\r\n".join(lines).encode()))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:22222", "evil.example", "[::1]:1"])
@pytest.mark.parametrize("scheme", ["http", "HTTP", "https"])
def test_a_target_that_is_a_url(at: tuple[str, int], scheme: str, host: str) -> None:
    """A whole URL as the target is what its path is: RFC 9112, section 3.2.2."""
    known = f"Host: {host}"

    assert target(at, f"{scheme}://{host}/ready", known).body == b"true"
    assert "services ok" in target(at, f"{scheme}://{host}/ready/services?verbose", known).text
    assert json.loads(target(at, f"{scheme}://{host}/greet/a%20b?x=/y", known).body) == {
        "hello": "a b"
    }
    for root in (f"{scheme}://{host}", f"{scheme}://{host}?x"):
        assert target(at, root, known).status == (403 if host == "evil.example" else 200)
    assert target(at, f"{scheme}:/{host}/ready", known).status == 404


@pytest.mark.parametrize(
    ("authority", "host", "status"),
    [
        ("127.0.0.1", "127.0.0.1", 200),
        ("localhost:22222", "localhost:22222", 200),
        ("[::1]:22222", "[::1]:22222", 200),
        ("evil.example", "127.0.0.1", 403),
        ("127.0.0.1", "evil.example", 403),
        ("evil.example", "evil.example", 403),
        ("127.0.0.1@evil.example", "127.0.0.1", 403),
        ("127.0.0.1%2fevil.example", "127.0.0.1", 403),
        ("", "127.0.0.1", 403),
    ],
)
def test_a_target_that_names_a_host(
    at: tuple[str, int], authority: str, host: str, status: int
) -> None:
    """The host in the target, too, must be an address, or nothing but the probes is open."""
    assert target(at, f"http://{authority}/ls", f"Host: {host}").status == status
    assert target(at, f"http://{authority}/ls", f"Host: {host}", "Origin: null").status == 403


def test_excluding_a_stranger(at: tuple[str, int]) -> None:
    """Excluding a probe that does not exist is said, and changes nothing."""
    answer = wire.ask(at, "/ready?verbose&exclude=nosuch")

    assert answer.status == 200
    assert "[?] nosuch: excluded, but there is no such probe" in answer.text


@pytest.mark.parametrize("kind", ["live", "ready", "startup"])
def test_a_probe_that_is_not_there(at: tuple[str, int], kind: str) -> None:
    """`/ready/NAME` of a probe that does not exist is a 404, never a verdict."""
    answer = wire.ask(at, f"/{kind}/nosuch")

    assert answer.status == 404
    assert "nosuch" in answer.text
    assert answer.text.count("\n") == 1


@pytest.mark.parametrize("path", ["/nosuch", "/Live", "/live2", "/..%2f..%2fetc", "/%ff"])
def test_unknown_paths(at: tuple[str, int], path: str) -> None:
    """An unknown path gets a 404 of one line, which says where to look."""
    answer = wire.ask(at, path)

    assert answer.status == 404
    assert answer.text.endswith(" See GET /help.\n")
    assert answer.text.count("\n") == 1


@pytest.mark.parametrize(
    ("method", "path", "allow", "hint"),
    [
        ("POST", "/live", "GET, HEAD", "GET"),
        ("DELETE", "/ready", "GET, HEAD", "GET"),
        ("POST", "/status", "GET, HEAD", "GET /status"),
        ("PUT", "/offline", "POST", "POST"),
        ("GET", "/offline", "POST", "curl -X POST"),
        ("HEAD", "/online", "POST", ""),
        ("GET", "/log-level?level=DEBUG", "POST", "curl -X POST"),
        ("GET", "/touch", "POST", "curl -X POST"),
        ("OPTIONS", "/online", "POST", "POST"),
    ],
)
def test_the_wrong_method(
    at: tuple[str, int], method: str, path: str, allow: str, hint: str
) -> None:
    """The wrong method gets a 405 that says the right one, in words and in `Allow`."""
    answer = wire.ask(at, path, method=method)

    assert (405, allow) == (answer.status, answer.headers["allow"])
    assert hint in answer.text
    assert answer.text.count("\n") == (0 if method == "HEAD" else 1)


@pytest.mark.parametrize("path", ["/config", "/prestop", "/secret"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_private_is_not_for_loopback(at: tuple[str, int], path: str, method: str) -> None:
    """What is PRIVATE is refused on the port, even from loopback, in one line."""
    answer = wire.ask(at, path, method=method)

    assert answer.status == 403
    run = "Run `lifecycle prestop` in the container." if path == "/prestop" else ""
    assert f"{path} is PRIVATE, so this caller may not use it. {run}".strip() == answer.text[:-1]


def test_status(app: App, at: tuple[str, int]) -> None:
    """`/status` has everything there is to see."""
    wire.ask(at, "/ready")
    answer = wire.ask(at, "/status")

    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    said = json.loads(answer.body)
    assert ("ready", 0, None, app.pid) == (
        said["state"],
        said["in_flight"],
        said["drain"],
        said["pid"],
    )
    assert [each["to"] for each in said["transitions"]] == ["exporting", "registered", "ready"]
    assert all({"from", "to", "at", "cause"} <= set(each) for each in said["transitions"])
    assert said["since"] == said["transitions"][-1]["at"]
    orders = next(each for each in said["services"] if each["name"] == "orders")
    assert (app.port, True, {}) == (orders["port"], orders["online"], orders["held_by"])
    assert {name: each["registered"] for name, each in orders["registrations"].items()} == {
        "local": "yes"
    }
    assert all(
        {"kind", "name", "ok", "ms", "reason", "age"} <= set(each) for each in said["probes"]
    )
    assert ("readiness", "own.pool") in {(each["kind"], each["name"]) for each in said["probes"]}
    assert {"state", "services", "loop", "drain", "local", "page", "commands", "own"} <= {
        each["name"] for each in said["plugins"]
    }


def test_ls_version_help(at: tuple[str, int]) -> None:
    """`/ls` lists the services, `/version` the version, `/help` every path with its level."""
    listed = wire.ask(at, "/ls").text
    row = r"^orders +\d+ +online +local +yes +yes +[\d.]+ (s|min) +- +-$"
    assert re.search(row, listed, re.MULTILINE), listed
    assert wire.ask(at, "/version").text.startswith("pod-lifecycle ")
    listed = {tuple(line.split()[:3]) for line in wire.ask(at, "/help").text.splitlines()}
    assert {
        ("GET", "/live", "PUBLIC"),
        ("GET", "/ready", "PUBLIC"),
        ("GET", "/startup", "PUBLIC"),
        ("GET", "/", "PROTECTED"),
        ("GET", "/status", "PROTECTED"),
        ("GET", "/inflight", "PROTECTED"),
        ("GET", "/ls", "PROTECTED"),
        ("GET", "/help", "PROTECTED"),
        ("GET", "/version", "PROTECTED"),
        ("POST", "/online", "PROTECTED"),
        ("POST", "/offline", "PROTECTED"),
        ("POST", "/log-level", "PROTECTED"),
        ("GET", "/loggers", "PROTECTED"),
        ("GET", "/config", "PRIVATE"),
        ("POST", "/prestop", "PRIVATE"),
        ("GET", "/greet", "PUBLIC"),
        ("POST", "/touch", "PROTECTED"),
        ("GET", "/secret", "PRIVATE"),
        ("GET", "/broken", "PROTECTED"),
    } == listed


def test_plugin_commands(app: App, at: tuple[str, int]) -> None:
    """A plugin's command answers at its level: text, JSON, or a clean failure."""
    assert json.loads(wire.ask(at, "/greet/you").body) == {"hello": "you"}
    touched = wire.ask(at, "/touch", method="POST", headers=(wire.MEANT,))
    assert touched.text == "touched by 127.0.0.1\n"
    assert app.control("GET", "/secret")[1] == "shh\n"
    broken = wire.ask(at, "/broken")
    assert (
        broken.status,
        broken.text,
    ) == (500, "/broken raised ZeroDivisionError: division by zero\n")
