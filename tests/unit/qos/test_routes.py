"""What a command's answer becomes on the wire, whatever the answer is."""

from __future__ import annotations

from typing import Any

import pytest

from lifecycle.calls.runs import Outcome, Status
from lifecycle.cli.commands import COMMANDS
from lifecycle.contracts import Reply
from lifecycle.exceptions import LifecycleError
from lifecycle.qos.routes import IN_A_SHELL, Routes


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
