"""`lifecycle prestop`, when the app refuses."""

from __future__ import annotations

import pytest

from lifecycle.cli import prestop
from lifecycle.links import help_page

OURS = help_page("errors.md#prestop-refused")
OWN = help_page("refused-request")


@pytest.mark.parametrize(
    ("body", "page"),
    [
        (f"The drain failed.\nSee {OWN}\n", OWN),
        ("The drain failed.\n", OURS),
        ("See the log.\n", OURS),
        ("", OURS),
    ],
)
def test_a_refusal_names_one_page(
    body: str, page: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """That of the answer if there is one, or else its own, in the last line."""
    monkeypatch.setattr(prestop, "request", lambda *_, **__: (503, body))

    assert prestop.prestop(22222) == 1

    said = capsys.readouterr().err
    assert said.startswith("lifecycle: the app answered preStop with 503: ")
    assert said.count("See http") == 1
    assert said.splitlines()[-1] == f"See {page}"
