"""The processes that are measured: bare hypercorn beside an app under a lifecycle."""

from __future__ import annotations

import compileall
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lifecycle.testing import free_port

APP = """
async def app(scope, receive, send):
    if scope["type"] == "http":
        headers = [(b"content-type", b"text/plain"), (b"content-length", b"4")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"true"})
    else:
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
"""

BARE = f"""
import asyncio, sys
from hypercorn.asyncio import serve
from hypercorn.config import Config

{APP}
config = Config()
config.bind = ["0.0.0.0:" + sys.argv[1]]
config.errorlog = None
asyncio.run(serve(app, config))
"""

READY = """
import lifecycle

async def main(life):
    life.export("orders", port=8080)
    await life.ready()
    await life.drained()

lifecycle.run(main)
"""

READY_AND_SAYS_SO = READY.replace(
    "await life.ready()", "await life.ready()\n    print('ready', flush=True)"
)

BUSY = """
import asyncio, time
import lifecycle

async def main(life):
    await life.ready()
    while not life.draining:
        until = time.perf_counter() + 0.02
        while time.perf_counter() < until:
            pass
        await asyncio.sleep(0)

lifecycle.run(main)
"""


def compiled() -> None:
    """Compile the packages as installed ones are: what is measured is not the compiler."""
    root = Path(__file__).parent.parent
    for package in (root / "lifecycle", *root.glob("plugins/*/lifecycle_*")):
        compileall.compile_dir(package, quiet=1)


@contextmanager
def running(
    source: str, *, python: str = sys.executable, piped: bool = False, **environ: str
) -> Iterator[tuple[subprocess.Popen[bytes], int, float]]:
    """Run a program, told and telling by pipes if so asked; yields it, its port, its start."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "app.py"
        path.write_text(source)
        env = {
            **os.environ,
            "LIFECYCLE_QOS_PORT": str(port),
            "LIFECYCLE_RUN_DIR": folder,
            # The core is measured; these plugins are beside it for the tests.
            "LIFECYCLE_PLUGINS": "no:tcp,no:http,no:disk,no:memory,no:prometheus,no:opentelemetry",
            **environ,
        }
        began = time.perf_counter()
        pipe = subprocess.PIPE if piped else None
        command = [python, str(path), str(port)]
        with subprocess.Popen(
            command, env=env, cwd=folder, stdin=pipe, stdout=pipe, bufsize=0
        ) as process:
            try:
                yield process, port, began
            finally:
                process.send_signal(signal.SIGKILL)


def said(process: subprocess.Popen[bytes], word: str, deadline: float = 15.0) -> None:
    """Wait until a program that tells by a pipe has told this."""
    if process.stdout is None:
        raise TypeError("the program tells nothing by a pipe")
    there, _, _ = select.select([process.stdout], [], [], deadline)
    if not there or process.stdout.readline() != f"{word}\n".encode():
        raise ConnectionError(f"the program did not say {word}: see its output above")


def get(port: int, path: str) -> bytes:
    """GET on a fresh connection; returns all that came, b"" if nobody listens."""
    with socket.socket() as sock:
        try:
            sock.connect(("127.0.0.1", port))
        except OSError:
            return b""
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        received = sock.recv(4096)
        while b"\r\n\r\n" in received and not received.endswith((b"true", b"false")):
            received += sock.recv(4096)
        return received


def until_200(port: int, path: str, deadline: float = 15.0) -> float:
    """Ask until the answer is 200; returns when that was."""
    limit = time.perf_counter() + deadline
    while time.perf_counter() < limit:
        if b" 200 " in get(port, path)[:15]:
            return time.perf_counter()
        time.sleep(0.001)
    raise TimeoutError(f"no 200 from {path} on port {port}")


def rss(pid: int) -> float:
    """Return a process's resident memory in MiB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20
