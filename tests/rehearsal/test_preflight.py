"""On which port a command listens, and how soon a wrong one is noticed."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from lifecycle.rehearsal.errors import CannotRehearse
from lifecycle.rehearsal.plan import Plan
from lifecycle.rehearsal.replicas.preflight import reconnoitre
from lifecycle.rehearsal.replicas.template import Template
from lifecycle.testing import Kubelet, free_port

LIMIT = 50.0
START_TIME = 120.0
"""A rehearsal that waits for this long is cut off by the test."""
SERVES = """
import os, socket, subprocess, sys, time

def listen(port):
    return socket.create_server(("127.0.0.1", int(port)))
"""
WAITS = "\ntime.sleep(60)\n"


def preflight(folder: Path, program: str, *words: str, ready: str | None = None) -> Template:
    """Try a Python program, bounded."""
    command = (sys.executable, "-c", SERVES + program + WAITS, *words)
    plan = Plan(command, ready=ready, start_time=START_TIME)

    async def main() -> Template:
        async with asyncio.timeout(LIMIT), Kubelet() as kubelet:
            return await reconnoitre(kubelet, Template(plan, str(folder)))

    return asyncio.run(main())


@pytest.mark.parametrize("ready", [None, "qos"])
@pytest.mark.parametrize(
    "program",
    [
        "listening = listen({0})",
        "subprocess.run([sys.executable, '-c', 'import socket, time; "
        'listening = socket.create_server(("127.0.0.1", {0})); time.sleep(60)\'])',
    ],
    ids=["itself", "a child of it"],
)
def test_another_port(tmp_path: Path, program: str, ready: str | None) -> None:
    """A command that listens elsewhere is told so at once: on which port, and what to write."""
    port = free_port()
    with pytest.raises(CannotRehearse) as refused:
        preflight(tmp_path, program.format(port), ready=ready)
    said = str(refused.value)
    assert f"listens on port {port}, and not on " in said
    assert "env PORT={port} COMMAND" in said


def test_another_port_beside_qos(tmp_path: Path) -> None:
    """A QOS port that answers does not hide that the app listens elsewhere."""
    port = free_port()
    program = f"both = listen(os.environ['LIFECYCLE_QOS_PORT']), listen({port})"
    with pytest.raises(CannotRehearse, match=rf"listens on port {port}, and not on "):
        preflight(tmp_path, program)


def test_another_port_in_the_command(tmp_path: Path) -> None:
    """A port that stands in the command is shown as {port} in its place."""
    port = free_port()
    wanted = r"(?s)Write {port} instead: .* 127\.0\.0\.1:{port} --fast"
    with pytest.raises(CannotRehearse, match=wanted):
        preflight(tmp_path, "listening = listen(sys.argv[1][-5:])", f"127.0.0.1:{port}", "--fast")


@pytest.mark.parametrize(
    ("program", "words", "qos"),
    [
        ("listening = listen(os.environ['PORT'])", (), False),
        ("listening = listen(sys.argv[1])", ("{port}",), False),
        ("first = listen(0); time.sleep(0.3); then = listen(os.environ['PORT'])", (), False),
        ("first = listen(0); time.sleep(2); then = listen(sys.argv[1])", ("{port}",), False),
        (
            "qos = listen(os.environ['LIFECYCLE_QOS_PORT']); time.sleep(2); "
            "app = listen(os.environ['PORT'])",
            (),
            True,
        ),
    ],
    ids=["PORT", "{port}", "another one first", "{port} late", "qos first"],
)
def test_the_right_port(tmp_path: Path, program: str, words: tuple[str, ...], qos: bool) -> None:
    """A command may open other ports too, and with {port} it may take its time."""
    assert preflight(tmp_path, program, *words).qos is qos
