"""What a probe may answer, and what is said of rubbish."""

from __future__ import annotations

from itertools import repeat
from typing import Any

import pytest

from lifecycle.contracts import ProbeResult
from lifecycle.control.probes import interpret


@pytest.mark.parametrize(
    ("value", "results"),
    [
        (None, (ProbeResult(True),)),
        (True, (ProbeResult(True),)),
        (False, (ProbeResult(False),)),
        (ProbeResult(False, "no"), (ProbeResult(False, "no"),)),
        ([], (ProbeResult(True),)),
        ((ProbeResult(True), ProbeResult(False)), (ProbeResult(True), ProbeResult(False))),
        ([ProbeResult(True, name="a")], (ProbeResult(True, name="a"),)),
    ],
)
def test_what_an_answer_may_be(value: Any, results: tuple[ProbeResult, ...]) -> None:
    """A bool, a ProbeResult, several of them, or None for "fine"."""
    assert interpret(value) == results


class Poison:
    """Raises at every touch."""

    def __iter__(self) -> Any:
        raise ValueError

    def __repr__(self) -> str:
        raise ValueError

    def __bool__(self) -> bool:
        raise ValueError


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (1, "returned 1,"),
        (0.0, "returned 0.0,"),
        ("true", "returned 'true',"),
        ("x" * 10_000, f"returned '{'x' * 50}',"),
        ({"ok": True}, "returned a dict,"),
        ([True], "returned a list,"),
        (repeat(ProbeResult(True)), "returned a repeat,"),
        (Poison(), "returned a Poison,"),
        ([Poison()], "returned a list,"),
        (object, "returned a type,"),
    ],
)
def test_rubbish(value: Any, shown: str) -> None:
    """Anything else is a failure that says what came; no code of the value is run for it."""
    with pytest.raises(TypeError) as caught:
        interpret(value)
    assert str(caught.value).startswith(shown)


@pytest.mark.parametrize("wrong", [{"ok": 1}, {"ok": None}, {"reason": OSError()}, {"name": 5}])
def test_a_result_that_is_none(wrong: dict[str, Any]) -> None:
    """A ProbeResult refuses what could not be shown."""
    with pytest.raises(TypeError, match="ProbeResult"):
        ProbeResult(**({"ok": True} | wrong))
