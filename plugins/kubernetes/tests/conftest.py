"""A pod in a test: a service account's folder, an API server that answers it, a lifecycle."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

import lifecycle
from lifecycle.core import Core
from lifecycle.runtime import handle_of
from plugins.kubernetes.tests.api_server import ApiServer

LATEST = 20.0
"""Seconds that anything may take on a busy machine."""
Play = Callable[[Callable[[Any], Awaitable[None]]], None]


def make_certificate(folder: Path) -> Path:
    """Make one that signs itself, and its key."""
    argv = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
    more = "-subj /CN=kubernetes -addext subjectAltName=IP:127.0.0.1 -keyout key.pem -out ca.crt"
    subprocess.run(f"{argv} {more}".split(), cwd=folder, check=True, capture_output=True)
    return folder


async def become_ready(life: lifecycle.Lifecycle, *names: str) -> None:
    for port, name in enumerate(names or ("orders",), start=8080):
        life.export(name, port=port, protocol=name if names else "")
    await life.ready()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def account(certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a service account, and the environment of a pod."""
    for name in ("ca.crt", "key.pem"):
        (tmp_path / name).write_bytes((certificate / name).read_bytes())
    (tmp_path / "token").write_text("first")
    (tmp_path / "namespace").write_text("shop")
    monkeypatch.setenv("POD_NAME", "orders-1")
    monkeypatch.delenv("POD_NAMESPACE", raising=False)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "1")
    monkeypatch.setenv("LIFECYCLE_KUBERNETES_ACCOUNT", str(tmp_path))
    monkeypatch.setenv("LIFECYCLE_RUN_DIR", str(tmp_path))
    # The first start of a process counts from the start of the process, which has run many tests.
    monkeypatch.setenv("LIFECYCLE_KUBERNETES_SLOW_START_AFTER", "86400")
    return tmp_path


class Pod:
    """The API server, and the lifecycle of the app in the pod."""

    def __init__(self, api: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
        self.api = api
        self.environment = monkeypatch
        self.life: lifecycle.Lifecycle
        self.log: list[dict[str, Any]] = []

    @contextlib.asynccontextmanager
    async def run(self, **settings: Any) -> AsyncIterator[lifecycle.Lifecycle]:
        times = {"settle": 0.1, "quiet": 0.1, "stop_timeout": 0.5, "register_timeout": 2}
        config = lifecycle.Config(**{"qos_port": 0} | times | settings)
        log = self.log

        def render(entry: Any) -> None:
            log.append({"event": entry.event, **entry.fields})

        async with handle_of(lambda life: Core(life, config, renderer=render)) as self.life:
            yield self.life

    @contextlib.asynccontextmanager
    async def ready(self, *names: str, **settings: Any) -> AsyncIterator[lifecycle.Lifecycle]:
        """Run, from READY on."""
        async with self.run(**settings) as life:
            await become_ready(life, *names)
            yield life

    def cell(self) -> dict[str, Any]:
        """Return the registration as `/status` shows it."""
        (service,) = self.life.snapshot()["services"]
        return dict(service["registrations"]["kubernetes"])

    async def until(self, condition: Callable[[], object], what: str) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LATEST):
                while not condition():
                    await asyncio.sleep(0.01)
        assert condition(), what

    async def watched(self) -> None:
        await self.until(lambda: self.api.watches("pods"), "it is watched")

    async def annotated_again(self) -> None:
        """Take the annotation away; return when it is there again."""
        self.api.pod["metadata"]["annotations"] = {}
        self.api.change()
        await self.until(lambda: self.api.annotation() is not None, "it is there again")

    async def until_state(self, state: str) -> dict[str, Any]:
        """Return the annotation with the state of the app, once it has this state."""
        await self.until(
            lambda: (self.api.status() or {}).get("state") == state, f"{state} is reported"
        )
        return dict(self.api.status() or {})

    async def until_event(self, reason: str) -> str:
        """Return the message of an Event, once it has come."""
        await self.until(lambda: reason in self.api.reasons(), f"the Event {reason} comes")
        return self.message(reason)

    def message(self, reason: str) -> str:
        """Return the message of the one Event that has a reason."""
        (found,) = (each["message"] for each in self.api.events if each["reason"] == reason)
        return str(found)

    def said(self, event: str) -> list[dict[str, Any]]:
        return [each for each in self.log if each["event"] == event]


@pytest.fixture
def play(account: Path, monkeypatch: pytest.MonkeyPatch) -> Play:
    """Play a scenario in a pod whose API server is up."""

    def run(scenario: Callable[[Pod], Awaitable[None]]) -> None:
        async def served() -> None:
            api = ApiServer(account)
            if (account / "served").exists():
                api.certificate = account / "served"
            async with asyncio.timeout(LATEST * 2):
                monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(await api.start()))
                try:
                    await scenario(Pod(api, monkeypatch))
                finally:
                    await api.kill()

        asyncio.run(served())
        gc.collect()  # what was left open is seen here, and in no other test

    return run
