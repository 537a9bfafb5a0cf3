"""The options of the command: what they write, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from plugins.fleet.tests.rollout_running import Start, rollout


def test_the_report_is_written(
    start: Start, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """As a page without a script."""
    start(1)
    ended = rollout(capsys, "deploy/orders", "--restart", "--report", str(tmp_path / "r.html"))
    found = (tmp_path / "r.html").read_text()

    assert ended.code == 0
    assert "Rolled out to revision 2" in found
    assert "<script" not in found


@pytest.mark.parametrize(
    ("path", "reason"), [("no/r", "there is no folder"), (".", "it is a folder")]
)
def test_a_report_that_cannot_be_written_is_refused_at_once(
    start: Start, capsys: pytest.CaptureFixture[str], tmp_path: Path, path: str, reason: str
) -> None:
    """Before the rollout."""
    cluster = start(1)
    ended = rollout(capsys, "deploy/orders", "--restart", "--report", str(tmp_path / path))

    assert ended.code == 1
    assert reason in ended.err
    assert not cluster.patched


@pytest.mark.parametrize(
    "words",
    [["orders", "--timeout", "0"], ["orders", "--gate-seconds", "x"], ["orders", "-o", "wide"]],
)
def test_wrong_options_are_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """With exit code 2."""
    with pytest.raises(SystemExit) as raised:
        rollout(capsys, *words)

    assert raised.value.code == 2


@pytest.mark.parametrize(("target", "code"), [("sts/orders", 2), ("pod/orders", 2), ("deploy/", 2)])
def test_what_is_no_deployment_is_refused(
    target: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a request."""
    assert rollout(capsys, target).code == code


def test_an_option_of_the_gate_needs_the_gate(capsys: pytest.CaptureFixture[str]) -> None:
    """A person who gives it believes that there is a gate."""
    ended = rollout(capsys, "deploy/orders", "--gate-seconds", "5")

    assert ended.code == 2
    assert "--gate-seconds is only for --gate. Add --gate, or remove" in ended.err
