"""The page about an error: beside the message, and never in it."""

from __future__ import annotations

import os
import pickle
import sys
import traceback
from pathlib import Path

import pytest

import lifecycle
from lifecycle import ConfigError, LifecycleError, PluginError
from lifecycle.cli.console import fail
from lifecycle.cli.control_client import Unreachable
from lifecycle.environment_variables import blaming
from lifecycle.exceptions import explained, page_of
from lifecycle.links import docs_page, help_page

PAGE = docs_page("troubleshooting.md#draining")


class Odd(Exception):
    """An error of a stranger, who means something else by `see`."""

    def __init__(self, see: object) -> None:
        super().__init__("odd")
        self.see = see


class Worse(Exception):
    """The same, and it cannot be asked."""

    @property
    def see(self) -> str:
        raise ValueError


def test_a_traceback_has_the_page_and_the_message_has_not() -> None:
    """A person sees it at the end; a program that reads the message sees no change."""
    error = PluginError("no hook", see="draining")

    assert (str(error), error.see) == ("no hook", PAGE)
    assert traceback.format_exception(error)[-1] == f"See {PAGE}\n"


def test_an_error_without_a_page() -> None:
    """Plugins raise our errors too, and may have no page, or one of their own."""
    assert LifecycleError("no").see == ""
    assert not hasattr(LifecycleError("no"), "__notes__")
    assert LifecycleError("no", see="https://example.com/").see == "https://example.com/"


def test_an_error_of_the_app_keeps_what_is_its_own() -> None:
    """A subclass may have an `entry`, a `see` of its own, and another base with its arguments."""

    class Own(LifecycleError, ImportError):
        def __init__(self, message: str) -> None:
            self.entry = {"id": 1}
            super().__init__(message, name="shop", see="draining")

        @property
        def see(self) -> str:  # type: ignore[override]
            return "mine"

    error = Own("no")
    assert (str(error), error.entry, error.name, error.see) == ("no", {"id": 1}, "shop", "mine")
    assert error.__notes__ == [f"See {PAGE}"]


def test_an_address_of_any_scheme_is_kept() -> None:
    """A company's own page may be on plain HTTP."""
    error = LifecycleError("no", see="http://wiki.example/x")
    assert (error.see, page_of(error)) == ("http://wiki.example/x", "http://wiki.example/x")


def test_it_survives_a_process_pool() -> None:
    """Once, not twice."""
    error = pickle.loads(pickle.dumps(ConfigError("no", see="draining")))

    assert (str(error), error.see, error.__notes__) == ("no", PAGE, [f"See {PAGE}"])


def test_any_error_may_have_one() -> None:
    """A TypeError stays a TypeError."""
    error = explained(TypeError("no"), "draining")

    assert (type(error), str(error), page_of(error)) == (TypeError, "no", PAGE)


@pytest.mark.parametrize("error", [ValueError(), Odd("there"), Odd(3), Worse(), None, "text"])
def test_what_has_no_page(error: object) -> None:
    """Whatever a stranger calls `see`, is not printed as an address."""
    assert page_of(error) == ""


def test_an_error_that_becomes_another_one_keeps_its_page() -> None:
    """A ValueError about a setting is a ConfigError in the end."""
    with pytest.raises(ConfigError) as plain, blaming({}):
        raise ValueError("no")
    with pytest.raises(ConfigError) as known, blaming({}):
        raise explained(ValueError("no"), "draining")

    assert plain.value.see == help_page("value-of-a-setting")
    assert known.value.see == PAGE


@pytest.mark.parametrize(
    ("message", "see", "page"),
    [
        ("no", "", ""),
        ("no", "draining", PAGE),
        (LifecycleError("no", see="draining"), "", PAGE),
        (Unreachable("no"), "", help_page("errors.md#app-not-reachable")),
    ],
)
def test_the_command_prints_it_in_a_line_of_its_own(
    message: object, see: str, page: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Below the message; none if there is none."""
    assert fail(message, 3, see=see) == 3

    assert capsys.readouterr().err == "lifecycle: no\n" + (f"See {page}\n" if page else "")


def test_the_address_costs_nothing_until_it_is_needed() -> None:
    """`lifecycle prestop` must not pay for `typing`, which the version imports."""
    import subprocess

    code = "import sys; import lifecycle.exceptions; print('typing' in sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-S", "-c", code],
        env={**os.environ, "PYTHONPATH": str(Path(lifecycle.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.stdout == "False\n", ran.stderr
