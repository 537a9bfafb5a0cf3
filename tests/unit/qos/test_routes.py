"""What a command's answer becomes on the wire, whatever the answer is."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from lifecycle.calls.runs import Outcome, Status
from lifecycle.cli.commands import COMMANDS
from lifecycle.contracts import Reply
from lifecycle.exceptions import LifecycleError
from lifecycle.links import help_page
from lifecycle.qos.access import Access
from lifecycle.qos.routes import IN_A_SHELL, Routes, _write


class Leaves:
    """Cannot be shown, and wants out."""

    def __str__(self) -> str:
        raise SystemExit(3)


class Unprintable(LifecycleError):
    """The same as an error."""

    def __str__(self) -> str:
        raise SystemExit(3)


CIRCLE: list[Any] = []
CIRCLE.append(CIRCLE)


def read(value: Any = None, error: BaseException | None = None) -> tuple[int, str]:
    """Return the status and the body of an outcome."""
    status = Status.ANSWERED if error is None else Status.RAISED
    routes = Routes(conductor=None, access=None)  # type: ignore[arg-type]
    response = routes._read(Outcome(status, 0.1, value, error), "theirs")
    return response.status, response.body


@pytest.mark.parametrize(
    ("value", "response"),
    [
        ("text", (200, "text\n")),
        ("line\n", (200, "line\n")),
        (Reply("no", 404), (404, "no\n")),
        ({"a": [1]}, (200, '{"a": [1]}')),
        (None, (200, "null")),
    ],
)
def test_answers(value: Any, response: tuple[int, str]) -> None:
    """Text is a line, anything else JSON; a `Reply` has its own status."""
    assert read(value) == response


def test_a_reply_with_a_content_type() -> None:
    """Its body and its headers are sent as they are, and it must be text."""
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    routes = Routes(conductor=None, access=None)  # type: ignore[arg-type]
    reply = Reply("<p>\t</p>", 200, "text/html", [("X-Frame-Options", "DENY\r\nX: 1")])
    asyncio.run(_write(send, routes._read(Outcome(Status.ANSWERED, 0.1, reply, None), "")))

    assert sent[1]["body"] == b"<p>\t</p>"
    headers = dict(sent[0]["headers"])
    assert headers[b"content-type"] == b"text/html"
    assert b"\r" not in headers[b"x-frame-options"]
    assert read(Reply({"a": 1}, 200, "text/html")) == (
        500,
        "/theirs returned a content type, but its body is not text.\n",
    )


class Refuses:
    """A conductor without commands."""

    commands: Mapping[str, Any] = {}


@pytest.mark.parametrize("unix", [False, True])
def test_only_the_command_line_gets_the_page_of_a_refusal(unix: bool) -> None:
    """The address has our version, which is not for every client of the port."""
    routes = Routes(Refuses(), Access())  # type: ignore[arg-type]
    sent: list[dict[str, Any]] = []
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/nothing",
        "raw_path": b"/nothing",
        "query_string": b"",
        "headers": [(b"host", b"localhost")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 22222),
    }

    async def send(message: Any) -> None:
        sent.append(message)

    answer = routes.on_socket if unix else routes.on_port
    asyncio.run(answer(scope, None, send))  # type: ignore[arg-type]

    page = f"See {help_page('command-refused')}\n" if unix else ""
    assert sent[1]["body"].decode() == f"There is no /nothing. See GET /help.\n{page}"


@pytest.mark.parametrize("value", [Leaves(), {"a": Leaves()}, CIRCLE, {(1, 2): 3}])
def test_what_json_cannot_hold(value: Any) -> None:
    """It is a failure of that command, which ends no loop of ours."""
    status, body = read(value)

    assert status == 500
    assert body.startswith("/theirs returned a value that JSON cannot hold: ")


def test_the_command_lines_that_refusals_name() -> None:
    """A refusal sends nobody to a command that `lifecycle` does not have."""
    assert set(COMMANDS) >= IN_A_SHELL


def test_an_error_that_cannot_be_shown() -> None:
    """The same for the message of an error."""
    assert read(error=Unprintable()) == (400, "(its message cannot be shown)\n")
