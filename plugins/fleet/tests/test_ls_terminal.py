"""`ls` on a real terminal, at several widths, with and without colours."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from plugins.fleet.tests import objects
from plugins.fleet.tests.api_server import LATEST, ApiServer
from plugins.fleet.tests.objects import pod, told

COMMAND = [sys.executable, "-c", "from lifecycle_fleet.kubectl import main; main()"]


@pytest.fixture
def shop(api: ApiServer) -> ApiServer:
    """A small fleet."""
    for plural, thing in objects.fleet():
        api.put(plural, thing)
    return api


def on_terminal(columns: int, *words: str, **variables: str) -> str:
    """Return what the command writes to a terminal of a width."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    environ = {"TERM": "xterm", "PATH": os.environ["PATH"], **variables}
    environ["KUBECONFIG"] = os.environ["KUBECONFIG"]
    process = subprocess.Popen(
        [*COMMAND, *words], stdin=theirs, stdout=theirs, stderr=theirs, env=environ
    )
    os.close(theirs)
    found = b""
    try:
        while data := os.read(ours, 65536):
            found += data
    except OSError:
        pass  # the other side is closed
    assert process.wait(LATEST) == 0
    os.close(ours)
    return found.decode().replace("\r\n", "\n")


def plain(text: str) -> str:
    return re.sub(r"\x1b\[\d*m", "", text)


@pytest.mark.parametrize("columns", [80, 100, 120, 200])
@pytest.mark.parametrize("variables", [{}, {"NO_COLOR": "1"}])
def test_each_line_fits(
    shop: ApiServer, kubeconfig: Path, columns: int, variables: dict[str, str]
) -> None:
    """No line is longer than the terminal, and each pod is on one line with its whole name."""
    found = plain(on_terminal(columns, "ls", **variables)).splitlines()
    notes = [line for line in found if line.startswith("Not shown")]
    lines = [line for line in found if not line.startswith("Not shown")]

    assert len(lines) == 7
    assert max(map(len, lines)) <= columns
    assert "orders-7d4b9c6f5-x2x7q" in lines[5]
    assert len(notes) == (columns <= 120)
    if notes:
        assert ("WORKLOAD" in lines[0]) != ("WORKLOAD" in notes[0])


def test_colours_are_only_where_they_are_wanted(shop: ApiServer, kubeconfig: Path) -> None:
    """A terminal has colours, without NO_COLOR and with a TERM that knows them."""
    assert "\x1b[32mready\x1b[0m" in on_terminal(200, "ls")
    assert "\x1b[33mdraining\x1b[0m" in on_terminal(200, "ls")
    assert "\x1b[31mcut off (124)\x1b[0m" in on_terminal(200, "ls")
    for variables in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        assert "\x1b" not in on_terminal(200, "ls", **variables)


def test_colours_do_not_move_columns(shop: ApiServer, kubeconfig: Path) -> None:
    """The same text is at the same place."""
    with_colours = plain(on_terminal(200, "ls", "--no-headers"))
    without = on_terminal(200, "ls", "--no-headers", NO_COLOR="1")

    assert [line[:60] for line in with_colours.splitlines()] == [
        line[:60] for line in without.splitlines()
    ]


def test_wide_is_never_cut(shop: ApiServer, kubeconfig: Path) -> None:
    """-o wide has all columns, as kubectl's."""
    assert "CAUSE" in on_terminal(80, "ls", "-o", "wide").splitlines()[0]


def test_a_pipe_has_all_columns(shop: ApiServer, kubeconfig: Path) -> None:
    """What another program reads does not depend on a width, and has no colours."""
    done = subprocess.run(
        [*COMMAND, "ls"],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "80"},
    )

    assert done.stdout.splitlines()[0].split()[:2] == ["WORKLOAD", "REVISION"]
    assert "\x1b" not in done.stdout


def test_letters_that_the_terminal_does_not_have(api: ApiServer, kubeconfig: Path) -> None:
    """They are shown as numbers, and nothing fails."""
    api.put("pods", pod(annotation=told(cause="größer")))
    environ = {**os.environ, "PYTHONIOENCODING": "ascii"}
    words = [*COMMAND, "ls", "-o", "wide"]
    done = subprocess.run(words, capture_output=True, text=True, env=environ, check=True)

    assert r"gr\xf6\xdfer" in done.stdout


def test_a_reader_that_goes_away(shop: ApiServer, kubeconfig: Path) -> None:
    """`ls | head -1` is quiet, and ends as a shell expects it."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as gone:
        done = subprocess.run([*COMMAND, "ls"], stdout=gone, stderr=subprocess.PIPE, check=False)

    assert (done.returncode, done.stderr) == (141, b"")
