"""`/loggers` on the QOS port: what `/log-level` sets."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.process.kit import App

Start = Callable[..., App]

ENV = {"LIFECYCLE_SETTLE": "0", "LIFECYCLE_QUIET": "0"}
MAIN = """
import logging
import lifecycle

async def main(life):
    await life.ready()
    await life.drained()

logging.basicConfig(level="INFO")
lifecycle.run(main)
"""


@pytest.fixture
def app(start: Start) -> App:
    """Run an app."""
    app = start(MAIN, env=ENV)
    app.wait_state("ready")
    return app


def test_loggers(app: App) -> None:
    """`/loggers` shows what `/log-level` sets, as a table or as JSON."""
    at = {"Accept": "application/json"}

    def levels(path: str) -> dict[str, tuple[str, str]]:
        status, body, _ = app.get(path, headers=at)
        assert status == 200
        return {e["name"]: (e["level"], e["effective"]) for e in json.loads(body)["loggers"]}

    assert app.get("/log-level/asyncio?level=ERROR", method="POST")[0] == 200
    assert app.get("/log-level?level=WARNING", method="POST")[0] == 200
    found = levels("/loggers")
    assert next(iter(found)) == "root"
    assert found["root"] == ("WARNING", "WARNING")
    assert found["asyncio"] == ("ERROR", "ERROR")
    assert list(found)[1:] == sorted(list(found)[1:])

    status, body, _ = app.get("/loggers/asyncio")
    assert (status, [line.split() for line in body.splitlines()]) == (
        200,
        [["LOGGER", "LEVEL", "EFFECTIVE"], ["asyncio", "ERROR", "ERROR"]],
    )
    assert app.get("/log-level/asyncio?level=NOTSET", method="POST")[0] == 200
    assert levels("/loggers?logger=async*") == {"asyncio": ("", "WARNING")}
    assert app.get("/loggers/asyncio")[1].splitlines()[1].split() == ["asyncio", "-", "WARNING"]


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/loggers?logger=nosuch", "no logger matches 'nosuch'"),
        ("/loggers?loger=shop", "'loger' is not an argument. Use ?logger=PATTERN."),
        ("/loggers/a?logger=b", "You named two loggers"),
        ("/loggers?logger=%1b%0a", "no logger matches '\\x1b\\n'"),
    ],
)
def test_loggers_with_wrong_arguments(app: App, path: str, said: str) -> None:
    """400, and what is wrong, on one line."""
    status, body, _ = app.get(path)
    assert status == 400
    assert body.startswith(said)
    assert body.count("\n") == 1


def test_many_loggers_with_names_of_others(start: Start) -> None:
    """500 are listed; a name can neither break the table nor the terminal."""
    source = MAIN.replace(
        "lifecycle.run(",
        "for n in range(2000): logging.getLogger(f'many.{n:04}\\x1b[2J\\n')\nlifecycle.run(",
    )
    assert source != MAIN
    app = start(source, env=ENV)
    app.wait_state("ready")
    lines = app.get("/loggers?logger=many.*")[1].splitlines()
    assert lines[-1] == "(1500 more. Use ?logger=PATTERN)"
    assert len(lines) == 1 + 500 + 1
    assert all(line.isprintable() for line in lines)
    answer = json.loads(
        app.get("/loggers?logger=many.*", headers={"Accept": "application/json"})[1]
    )
    assert (answer["count"], len(answer["loggers"])) == (2000, 500)
    app.stop()
