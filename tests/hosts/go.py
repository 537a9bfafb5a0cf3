"""The server in Go, built once, and kept by its source's hash."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from tests.cluster.build import CACHE, locked
from tests.process.rollout import SERVED

SOURCE: Final = SERVED / "go" / "main.go"
LONGEST: Final = 240.0
"""Seconds that a build may take: the first one of a machine compiles Go's own library."""


def built() -> Path:
    """Return the program. It needs Go, and nothing of the network."""
    program = CACHE / f"go-shop-{hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:16]}"
    with locked("go-shop"):
        if not program.exists():
            _build(program)
    return program


def _build(program: Path) -> None:
    with tempfile.TemporaryDirectory(dir=CACHE) as work:
        subprocess.run(
            ["go", "build", "-trimpath", "-o", f"{work}/shop", SOURCE],
            cwd=work,
            env=os.environ | {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GO111MODULE": "off"},
            timeout=LONGEST,
            check=True,
        )
        os.rename(f"{work}/shop", program)
