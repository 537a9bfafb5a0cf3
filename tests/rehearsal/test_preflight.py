"""On which port a command listens, and how soon a wrong one is noticed."""

from __future__ import annotations

import asyncio
import shlex
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from lifecycle.rehearsal.errors import CannotRehearse
from lifecycle.rehearsal.plan import Plan, Protocol, Traffic
from lifecycle.rehearsal.replicas import preflight as preflight_module
from lifecycle.rehearsal.replicas.fixed_ports import missing_service, refuse_fixed_ports
from lifecycle.rehearsal.replicas.preflight import ask_once, reconnoitre
from lifecycle.rehearsal.replicas.replica import Replica
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


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A free port is no usual one, for which a rehearsal waits less long."""
    monkeypatch.setattr(preflight_module, "PATIENCE", preflight_module.ELSEWHERE_TIME)


@pytest.mark.usefixtures("hasty")
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


@pytest.mark.usefixtures("hasty")
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
        ("first = listen(0); time.sleep(2); then = listen(os.environ['PORT'])", (), False),
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


RUN = ["lifecycle", "run"]
GUNICORN = ["--", "gunicorn", "-b", "127.0.0.1:{port}", "shop:app"]
FIXED = [
    (
        [*RUN, "--service", "orders:8000", *GUNICORN],
        {},
        "--service orders:8000 has",
        "-- lifecycle run --service orders:{port} -- gunicorn -b 127.0.0.1:{port} shop:app",
    ),
    (
        [*RUN, "--service=a:{port}", "--service=orders:8000", *GUNICORN],
        {},
        "orders:8000",
        "a:{port}",
    ),
    (
        ["sh", "-c", "exec lifecycle run --service orders:8000 -- gunicorn -b :8000"],
        {},
        "--service orders:8000 has",
        "-- sh -c 'exec lifecycle run --service orders:{port} -- gunicorn -b :{port}'",
    ),
    (
        [sys.executable, "-m", "lifecycle", "run", *GUNICORN],
        {"LIFECYCLE_SERVICES": "orders:8000, admin"},
        "LIFECYCLE_SERVICES=orders:8000 has",
        "Set LIFECYCLE_SERVICES=orders:{port}, admin",
    ),
    (
        ["env", "LIFECYCLE_SERVICES=orders:8000", *RUN, *GUNICORN],
        {},
        "LIFECYCLE_SERVICES=orders:8000 has",
        "-- env LIFECYCLE_SERVICES=orders:{port} lifecycle run -- gunicorn",
    ),
    (
        [*RUN, "--asgi", "shop:app", "--bind", "0.0.0.0:8000", "--service", "shop:{port}"],
        {},
        "--bind 0.0.0.0:8000 has",
        "--bind 0.0.0.0:{port} --service shop:{port}",
    ),
]


@pytest.mark.parametrize(("command", "variables", "what", "instead"), FIXED)
def test_a_fixed_port(
    command: list[str], variables: dict[str, str], what: str, instead: str
) -> None:
    """Whatever listens on it would make the replicas ready, so it is refused before any start."""
    with pytest.raises(CannotRehearse) as refused:
        refuse_fixed_ports(command, variables)
    assert what in str(refused.value)
    assert instead in str(refused.value)


@pytest.mark.parametrize(
    ("command", "variables"),
    [
        ([*RUN, "--service", "orders:{port}", *GUNICORN], {"LIFECYCLE_SERVICES": "orders:8000"}),
        ([*RUN, "--service", "orders", "--asgi", "shop:app", "--bind", "[::]:{port}"], {}),
        ([*RUN, "--asgi", "shop:app", "--bind", "unix:/run/shop.sock"], {}),
        ([*RUN, *GUNICORN], {"LIFECYCLE_SERVICES": "orders:{port},admin:{port}"}),
        (["gunicorn", "-b", "127.0.0.1:{port}"], {"LIFECYCLE_SERVICES": "orders:8000"}),
        (["python", "-m", "http.server", "8000"], {}),
    ],
)
def test_no_fixed_port(command: list[str], variables: dict[str, str]) -> None:
    """A service with {port}, without a port, or of another program is no reason to refuse."""
    refuse_fixed_ports(command, variables)


def test_a_fixed_port_of_an_app_that_runs_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the command does not show `lifecycle run`, the QOS port does."""
    monkeypatch.setenv("LIFECYCLE_SERVICES", "orders:8000")
    qos = "both = listen(os.environ['LIFECYCLE_QOS_PORT']), listen(os.environ['PORT'])"

    with pytest.raises(CannotRehearse, match="LIFECYCLE_SERVICES=orders:8000 has a fixed port"):
        preflight(tmp_path, qos)
    assert not preflight(tmp_path, "app = listen(os.environ['PORT'])").qos


def test_the_port_in_a_service_only(tmp_path: Path) -> None:
    """A service opens no port, so {port} there does not hide that the command listens elsewhere."""
    port = free_port()
    wanted = rf"(?s)listens on port {port}, .* --service a:{{port}} 127\.0\.0\.1:{{port}}"
    program = "both = listen(os.environ['LIFECYCLE_QOS_PORT']), listen(sys.argv[3][-5:])"
    with pytest.raises(CannotRehearse, match=wanted):
        preflight(tmp_path, program, "--service", "a:{port}", f"127.0.0.1:{port}")


@pytest.mark.parametrize("protocol", Protocol)
def test_a_replica_that_does_not_listen(tmp_path: Path, protocol: Protocol) -> None:
    """It may be ready all the same, as by its QOS port. The first request of all finds it."""

    async def main() -> None:
        async with asyncio.timeout(LIMIT), Kubelet() as kubelet:
            template = Template(Plan((sys.executable, "-c", SERVES + WAITS)), str(tmp_path))
            replica = Replica(await kubelet.run(template.scout()))
            plan = replace(template.plan, traffic=Traffic(protocols=(protocol,)))
            await ask_once(replica, replace(template, plan=plan))

    with pytest.raises(CannotRehearse) as refused:
        asyncio.run(main())
    said = str(refused.value)
    assert said.startswith(f"{protocol} /: the replica is ready, but does not listen on ")
    assert "The app must listen on the port that {port} and the variable PORT name" in said
    assert refused.value.see.endswith("errors.md#request-fails-before-the-rollout")


@pytest.mark.parametrize(
    ("command", "variables", "add"),
    [
        (
            "lifecycle run -- uvicorn a:b --port {port}",
            {},
            "Add --service NAME:{port}: lifecycle rehearse -- lifecycle run --service NAME:{port} -- "
            "uvicorn a:b --port {port}",
        ),
        (
            "tini -- /venv/bin/lifecycle run -p no:kubernetes -- uvicorn a:b",
            {},
            "Add --service NAME:{port}: lifecycle rehearse -- tini -- /venv/bin/lifecycle run "
            "--service NAME:{port} -p no:kubernetes -- uvicorn a:b",
        ),
        (
            "sh -c 'exec lifecycle run -- uvicorn a:b'",
            {},
            "Add --service NAME:{port} after `lifecycle run`",
        ),
        ("lifecycle run --service a:{port} -- uvicorn a:b", {}, ""),
        ("env LIFECYCLE_SERVICES=a:{port} lifecycle run -- uvicorn a:b", {}, ""),
        ("lifecycle run -- uvicorn a:b", {"LIFECYCLE_SERVICES": "a:{port}"}, ""),
        ("lifecycle run --asgi a:b --bind 0.0.0.0:{port}", {}, ""),
        ("uvicorn a:b --port {port}", {}, ""),
    ],
)
def test_a_missing_service(command: str, variables: dict[str, str], add: str) -> None:
    """Without a service, `lifecycle run --` is READY before the command listens."""
    assert missing_service(shlex.split(command), variables) == add


def test_a_replica_that_does_not_listen_yet(tmp_path: Path) -> None:
    """The port is right. What is missing is the service, and the message names it."""
    command = ("lifecycle", "run", "--", sys.executable, "-m", "http.server", "{port}")

    async def main() -> None:
        async with asyncio.timeout(LIMIT), Kubelet() as kubelet:
            waits = Template(Plan((sys.executable, "-c", SERVES + WAITS)), str(tmp_path))
            replica = Replica(await kubelet.run(waits.scout()))
            await ask_once(replica, replace(waits, plan=Plan(command)))

    with pytest.raises(CannotRehearse) as refused:
        asyncio.run(main())
    assert (
        "yet. `lifecycle run` has no --service, so the replica was ready before its server "
        "listened. Add --service NAME:{port}: lifecycle rehearse -- lifecycle run"
    ) in str(refused.value)


@pytest.mark.parametrize("before", [(), ("lifecycle", "run", "--service", "a:{port}", "--")])
def test_a_command_in_one_word(tmp_path: Path, before: tuple[str, ...]) -> None:
    """Nothing is started, and the message says what is wrong with it."""
    plan = Plan((*before, "uvicorn shop.main:app --port {port}"))
    with pytest.raises(CannotRehearse, match="' is one word with spaces") as refused:
        asyncio.run(reconnoitre(Kubelet(), Template(plan, str(tmp_path))))
    assert refused.value.see.endswith("errors.md#command-in-one-word")


def test_a_program_with_a_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If there is a program with this name, it is started."""
    (tmp_path / "my app").write_text("#!/bin/sh\nexit 7\n")
    (tmp_path / "my app").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    async def main() -> None:
        async with asyncio.timeout(LIMIT), Kubelet() as kubelet:
            await reconnoitre(kubelet, Template(Plan(("my app",)), str(tmp_path)))

    with pytest.raises(CannotRehearse, match="did not start: exit code 7"):
        asyncio.run(main())
