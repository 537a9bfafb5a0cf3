"""Readers that do not read, and what they cost: nothing, for the server and for the others."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

from plugins.fleet.tests import pods
from plugins.fleet.tests.api_server import ApiServer
from plugins.fleet.tests.serving import LATEST, Reader, served

PODS = 150
ROUNDS = 45
STUCK = 30
ALLOWED = 32.0
"""MiB that the server may grow by. If each reader had a queue of its own, it would be 300."""


def memory(pid: int) -> float:
    """Return the memory of a process, in MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(each.split()[1]) / 1024 for each in lines if each.startswith("VmRSS"))


def stuck(port: int) -> socket.socket:
    """Open a stream, and do not read it."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(LATEST)
    client.connect(("127.0.0.1", port))
    client.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n")
    return client


def change(api: ApiServer, reader: Reader, number: int) -> None:
    """Change all pods, and wait until a reader has seen it."""
    told = pods.told(cause=f"{number} " + "x" * 180, online=["y" * 150] * 8)
    for each in range(PODS):
        api.put("pods", pods.pod(f"p{each}", annotation=told))
    reader.until(lambda: all(_cause(pod) == number for pod in reader.pods.values()))


def _cause(pod: dict[str, Any]) -> int:
    return int(pod["told"]["cause"].split(" ")[0])


def test_readers_that_do_not_read(tmp_path: Path) -> None:
    """The others get each change, and a slow one gets the present state when it reads on."""
    with ApiServer() as api:
        for each in range(PODS):
            api.put("pods", pods.pod(f"p{each}", annotation=pods.told(cause="0")))
        with served(api, tmp_path) as server, server.reader() as reader:
            reader.whole()
            change(api, reader, 1)
            before = memory(server.app.pid)
            clients = [stuck(server.port) for _ in range(STUCK)]
            for number in range(2, ROUNDS):
                change(api, reader, number)
            assert memory(server.app.pid) - before < ALLOWED
            text = "pod_lifecycle_fleet_readers 31.0"
            assert text in server.ask("/metrics").text.splitlines()
            assert _last_cause(clients[0]) == ROUNDS - 1
            for each in clients:
                each.close()


def _last_cause(client: socket.socket) -> int:
    """Read until the last change is there, and return its number."""
    found, seen, file = 0, 0, client.makefile("rb")
    while found < ROUNDS - 1:
        line = file.readline()
        if line.startswith(b"event: begin"):
            seen += 1
        if line.startswith(b"data: ") and b'"cause"' in line:
            found = max(_cause(each) for each in json.loads(line[6:])["pods"])
    assert seen == 2, "it has not started again"
    return found
