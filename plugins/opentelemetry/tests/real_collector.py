"""
The OpenTelemetry collector, built from its published Go modules and kept by its sources' hash.

It receives as it would in a cluster, and hands on to a receiver of the tests.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import yaml

from plugins.opentelemetry.tests.receiver import LIMIT, Receiver, receiver
from tests.cluster.build import CACHE, locked
from tests.process.kit import free_port, wait_for

SOURCES: Final = Path(__file__).parent / "collector"
LONGEST: Final = 900.0
"""Seconds that a build may take. On 2 cores, the first one of a machine takes 2 minutes."""


def built() -> Path:
    """Return the program. The first time, this needs Go and the proxy of Go modules."""
    key = hashlib.sha256()
    for path in sorted(SOURCES.iterdir()):
        key.update(path.read_bytes())
    program = CACHE / f"collector-{key.hexdigest()[:16]}"
    with locked("collector"):
        if not program.exists():
            _build(program)
    return program


def _build(program: Path) -> None:
    with tempfile.TemporaryDirectory(dir=CACHE) as work:
        shutil.copytree(SOURCES, f"{work}/sources")
        # No go.sum is committed: go writes one, from the sums that the world's modules have.
        subprocess.run(
            ["go", "build", "-mod=mod", "-trimpath", "-o", f"{work}/collector", "."],
            cwd=f"{work}/sources",
            env=os.environ | {"CGO_ENABLED": "0", "GOTOOLCHAIN": "auto"},
            timeout=LONGEST,
            check=True,
        )
        os.rename(f"{work}/collector", program)


@contextmanager
def real_collector(folder: Path) -> Iterator[Receiver]:
    """Run the collector. Gives the receiver behind it, with the addresses of the collector."""
    ports = {"grpc": free_port(), "http": free_port()}
    addresses = {name: f"127.0.0.1:{port}" for name, port in ports.items()}
    with receiver() as behind:
        exporter = {
            "endpoint": behind.http,
            "compression": "none",
            "sending_queue": {"enabled": False},  # an app gets its answer when all has arrived
        }
        signals = ("traces", "metrics", "logs")
        config = {
            "receivers": {
                "otlp": {
                    "protocols": {name: {"endpoint": each} for name, each in addresses.items()}
                }
            },
            "exporters": {"otlp_http": exporter},
            "service": {
                "telemetry": {"metrics": {"level": "none"}},
                "pipelines": {
                    signal: {"receivers": ["otlp"], "exporters": ["otlp_http"]}
                    for signal in signals
                },
            },
        }
        path = folder / "collector.yaml"
        path.write_text(yaml.safe_dump(config))
        with (folder / "collector.log").open("wb") as log:
            process = subprocess.Popen(
                [built(), f"--config=file:{path}"], stdout=log, stderr=log, cwd=folder
            )
        try:
            for port in ports.values():
                wait_for(
                    lambda port=port: _listens(port) or process.poll() is not None,
                    LIMIT,
                    "the collector listens",
                )
            assert process.poll() is None, (folder / "collector.log").read_text()
            behind.http, behind.grpc = (f"http://{addresses[name]}" for name in ("http", "grpc"))
            yield behind
        finally:
            process.terminate()
            process.wait(LIMIT)


def _listens(port: int) -> bool:
    with closing(socket.socket()) as one:
        return one.connect_ex(("127.0.0.1", port)) == 0
