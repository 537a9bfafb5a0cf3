"""What others say, on the QOS port: it is shown on one line, read once, and never half."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.process import wire
from tests.process.kit import App, wait_for

ODD = """
import logging
import lifecycle
from lifecycle import Command, LifecycleError, ProbeResult, hookimpl

class Odd:
    @hookimpl
    def lifecycle_readiness(self):
        return [
            ProbeResult(True, "caf\\u00e9 \\ud800 \\udcff", "half\\ud83d"),
            ProbeResult(True, "first\\r\\n[-] forged failed\\x1b[31m\\u2028\\x00", "line\\nbreak"),
        ]

    @hookimpl
    def lifecycle_commands(self):
        def fails(request):
            raise LifecycleError("no\\nway \\udcff")

        def raises(request):
            raise ValueError("no\\nway \\udcff")

        return [
            Command("half", lambda request: "half \\ud800"),
            Command("coloured", lambda request: "\\x1b[31mred\\x9b0m\\n\\ttable\\r\\n"),
            Command("fails", fails),
            Command("raises", raises),
            Command("touch", lambda request: "touched", changes=True),
        ]

async def main(life):
    life.export("orders", port=8080)
    life.export("billing", port=8081)
    await life.ready()
    await life.drained()

logging.basicConfig(level="INFO")
lifecycle.run(main, plugins=[Odd()])
"""


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """Serve with a plugin that says odd things."""
    env = {"LIFECYCLE_SETTLE": "0.1", "LIFECYCLE_QUIET": "0.1"}
    with App.start(ODD, cwd=tmp_path_factory.mktemp("odd"), env=env) as app:
        app.wait_state("ready")
        yield app
        assert "Traceback" not in app.stderr, app.stderr
        assert "Logging error" not in app.stderr


@pytest.fixture
def at(app: App) -> tuple[str, int]:
    return ("127.0.0.1", app.qos)


def test_verbose_is_one_line_a_probe(at: tuple[str, int]) -> None:
    """What a probe says is shown on its own line, whatever characters it is made of."""
    answer = wire.ask(at, "/ready/Odd?verbose")

    assert answer.status == 200
    shown = [line.partition(" (")[0] for line in answer.text.split("\n")]
    assert shown == [
        "[+] Odd.half\\ud83d ok",
        "[+] Odd.line\\nbreak ok",
        "readiness passed",
        "",
    ]
    assert ": café \\ud800 \\udcff\n" in answer.text
    assert ": first\\r\\n[-] forged failed\\x1b[31m\\u2028\\x00\n" in answer.text


def test_the_same_as_json(app: App, at: tuple[str, int]) -> None:
    """JSON, the status and the command say it in the same words."""
    answer = wire.ask(at, "/ready/Odd", headers=("Accept: application/json",))
    said = {each["name"]: each["reason"] for each in json.loads(answer.body)["probes"]}
    assert said["Odd.half\\ud83d"] == "café \\ud800 \\udcff"

    status = json.loads(wire.ask(at, "/status").body)
    assert said.items() <= {each["name"]: each["reason"] for each in status["probes"]}.items()
    done = app.cli("status")
    assert (done.returncode, done.stderr) == (0, "")
    assert "café \\ud800 \\udcff" in done.stdout
    assert wire.ask(at, "/ready/Odd.line%5Cnbreak").status == 200


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("/half", 200, "half \\ud800\n"),
        ("/coloured", 200, "\\x1b[31mred\\x9b0m\n\ttable\n"),
        ("/fails", 400, "no\\nway \\udcff\n"),
        ("/raises", 500, "/raises raised ValueError: no\\nway \\udcff\n"),
        ("/no%0Asuch", 404, "There is no /no\\nsuch. See GET /help.\n"),
    ],
)
def test_one_line_bodies(at: tuple[str, int], path: str, status: int, text: str) -> None:
    """What a command says, and what is said of it, can be encoded; an error is one line."""
    answer = wire.ask(at, path)

    assert (answer.status, answer.text) == (status, text)


def test_a_loggers_name(at: tuple[str, int]) -> None:
    """The answer of a command shows what it was given, and a terminal obeys nothing in it."""
    path = "/log-level?level=INFO&logger=a%1b%5B31mb"
    answer = wire.ask(at, path, method="POST", headers=(wire.MEANT,))

    assert (answer.status, answer.text) == (200, "OK: a\\x1b[31mb at INFO\n")


def test_an_excluded_name_forges_no_line(at: tuple[str, int]) -> None:
    """A name from the query is shown on its own line too."""
    answer = wire.ask(at, "/ready?verbose&exclude=x%0A%5B-%5D%20forged")

    assert "[?] x\\n[-] forged: excluded" in answer.text


def held(app: App) -> list[str]:
    status = app.status()
    assert status is not None
    return [each["name"] for each in status["services"] if not each["online"]]


def test_a_path_is_decoded_once(app: App, at: tuple[str, int]) -> None:
    """`%25` is a percent sign, not the beginning of another character."""

    def change(path: str) -> wire.Answer:
        return wire.ask(at, path, method="POST", headers=(wire.MEANT,))

    assert change("/offline/ord%65rs").text == "OK: orders\n"
    assert held(app) == ["orders"]
    assert change("/online/ord%65rs").status == 200
    assert change("/offline/ord%2565rs").text.startswith("no service matches 'ord%65rs'")
    assert held(app) == []
    assert change("/offline/b%252Fc").text.startswith("no service matches 'b%2Fc'")


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("/offline/orders?service=billing", "/NAME or ?service=PATTERN"),
        ("/online/orders?service=orders", "/NAME or ?service=PATTERN"),
        ("/offline?name=orders&service=billing", "?service=PATTERN"),
        ("/offline?service=orders&service=billing", "an argument twice"),
        ("/offline/orders?name=billing", "an argument twice"),
        ("/log-level/asyncio?logger=lifecycle&level=INFO", "/NAME or ?logger=NAME"),
        ("/log-level?level=INFO&level=DEBUG", "an argument twice"),
        ("/touch/a?name=b", "an argument twice"),
    ],
)
def test_what_is_said_twice(app: App, at: tuple[str, int], path: str, hint: str) -> None:
    """Of two things that contradict each other neither is chosen: 400 with the hint."""
    answer = wire.ask(at, path, method="POST", headers=(wire.MEANT,))

    assert answer.status == 400
    assert hint in answer.text
    assert answer.text.count("\n") == 1
    assert held(app) == []


def test_refusals_are_logged(app: App, at: tuple[str, int]) -> None:
    """What would have changed something is logged, refused or not."""
    wire.ask(at, "/touch/once?name=twice", method="POST", headers=(wire.MEANT,))

    wait_for(
        lambda: [each for each in app.events("command") if each.get("arg_name") == "once"],
        10,
        lambda: app.stderr,
    )
