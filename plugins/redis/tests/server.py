"""A real redis-server in a folder of the test's own, and a client that is not the plugin's."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import redis

STARTED = 20.0
"""Seconds that a server may take to accept a connection."""


class RedisServer:
    """
    The server.

    Args:
        folder: Its folder.
        words: More words of its command line.
    """

    def __init__(self, folder: Path, *words: str, password: str = "") -> None:
        with socket.create_server(("127.0.0.1", 0)) as sock:
            self.port = int(sock.getsockname()[1])
        self.folder = folder
        self.password = password
        self.words = words
        self.tls_port = 0
        self.argv: list[str] = []
        """The whole command line, instead of what is usual."""
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        login = f":{self.password}@" if self.password else ""
        return f"redis://{login}127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and return when it takes connections."""
        program = shutil.which("redis-server")
        assert program, "redis-server is not there: `make test` installs it, as root on Debian"
        words = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        words += ["--enable-debug-command", "yes", *self.words]
        if self.password:
            words += ["--requirepass", self.password]
        with (self.folder / f"redis-{self.port}.log").open("ab") as log:
            self.process = subprocess.Popen(
                [program, *(self.argv or words)], cwd=self.folder, stdout=log, stderr=log
            )
        deadline = time.monotonic() + STARTED
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return
            assert time.monotonic() < deadline, "the server takes connections"
            time.sleep(0.02)

    def kill(self) -> None:
        """End it at once, by its pid."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self.process = None

    def freeze(self) -> None:
        assert self.process
        os.kill(self.process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        assert self.process
        os.kill(self.process.pid, signal.SIGCONT)

    def client(self, **given: Any) -> redis.Redis:
        return redis.Redis(port=self.port, decode_responses=True, **given)

    def do(self, *words: Any) -> Any:
        """Send one command on a connection of its own."""
        with self.client(password=self.password or None) as client:
            return client.execute_command(*words)

    def entries(self) -> dict[str, dict[str, Any]]:
        """Return what clients find: the entries by key."""
        with self.client(password=self.password or None) as client:
            found = {key: client.get(key) for key in sorted(client.keys("lifecycle:*"))}
        return {key: json.loads(str(value)) for key, value in found.items() if value}

    def ports(self) -> list[int]:
        return [entry["port"] for entry in self.entries().values()]
