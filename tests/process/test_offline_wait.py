"""`lifecycle offline --wait` under load: clients move away, come back, and lose nothing."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from lifecycle.rehearsal.plan import Protocol
from tests.process.kit import App, free_port
from tests.process.maintenance import TIMES, maintain, under_load
from tests.process.rollout import BIND, RUN, SERVED

HTTP1, HTTP2, WEBSOCKET = Protocol.HTTP1, Protocol.HTTP2, Protocol.WEBSOCKET


class Host(NamedTuple):
    """What serves, and how it is asked."""

    words: Sequence[str]
    protocols: Sequence[Protocol] = (HTTP1,)
    streams: bool = False


def command(*words: str) -> tuple[str, ...]:
    """Return how to run a command of Python's."""
    return (*RUN, "--service", "shop:{port}", "--", sys.executable, "-m", *words)


GUNICORN: Final = ("gunicorn", "--no-control-socket", "-b", "127.0.0.1:{port}")
HOSTS: Final = {
    "run --asgi": Host(
        (*RUN, "--asgi", "shop:app", *BIND), (HTTP1, HTTP2, WEBSOCKET), streams=True
    ),
    "run --asgi, uvicorn": Host(
        (*RUN, "--asgi", "shop:app", "--server", "uvicorn", *BIND), (HTTP1, WEBSOCKET), streams=True
    ),
    "gunicorn gthread": Host(
        command(*GUNICORN, "-w", "2", "--threads", "16", "--keep-alive", "75", "wsgi_shop:app"),
    ),
    "uvicorn workers": Host(
        command("uvicorn", "--workers", "2", "--port", "{port}", "shop:app"),
        (HTTP1, WEBSOCKET),
        streams=True,
    ),
    "hypercorn workers": Host(
        command("hypercorn", "-w", "2", "-b", "127.0.0.1:{port}", "shop:app"),
        (HTTP1, HTTP2, WEBSOCKET),
        streams=True,
    ),
    "aiohttp": Host((*RUN, "aiohttp_main:with_handle")),
}


def serve(start: Callable[..., App], folder: Path, words: Sequence[str]) -> App:
    """Start one instance."""
    port = str(free_port())
    env = {"PORT": port, "PYTHONPATH": str(SERVED), "LIFECYCLE_RUN_DIR": str(folder), **TIMES}
    os.makedirs(folder, exist_ok=True)
    return start([each.replace("{port}", port) for each in words], env=env, cwd=folder)


@pytest.mark.parametrize("host", HOSTS.values(), ids=HOSTS)
def test_one_after_the_other(start: Any, tmp_path: Path, host: Host) -> None:
    """Nobody is served when it returns, nothing is lost, and kept connections come back."""
    apps = [serve(start, tmp_path / name, host.words) for name in "AB"]
    for app in apps:
        app.wait_state("ready")

    async def main() -> None:
        async with under_load(apps, host.protocols, streams=host.streams) as instances:
            await maintain(instances)
        assert instances.losses() == []

    asyncio.run(asyncio.wait_for(main(), 150))
    for app in apps:
        app.stop(0)
        assert "Traceback" not in app.stderr, app.stderr
        [report] = app.events("drain report")
        assert "cut_off" not in report, report
