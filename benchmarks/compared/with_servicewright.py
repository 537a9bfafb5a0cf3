"""
The app under servicewright: `python with_servicewright.py PORT DRAIN_DELAY`.

As its documentation serves HTTP (a `FastApiEntrypoint` under `run_sync`), with the app mounted.
"""

from __future__ import annotations

import sys
from typing import Any

from app import app
from servicewright import AppSpec, Service, run_sync
from servicewright.adapters.fastapi import FastApiEntrypoint, HttpConfig
from servicewright.testing import FakeContainer, FakeSettings


def _mount(served: Any, _context: Any) -> None:
    served.mount("/", app)


def main(port: str, delay: str) -> None:
    """Serve until SIGTERM."""
    spec = AppSpec(
        service_name="app",
        create_container=lambda _: FakeContainer(),
        drain_delay_seconds=float(delay),
    )
    config = HttpConfig(host="127.0.0.1", port=int(port), uvicorn_kwargs={"log_level": "warning"})
    http = FastApiEntrypoint(config=config, routes_registerer=_mount)
    run_sync(Service(spec, entrypoints=[http]), FakeSettings())


if __name__ == "__main__":
    main(*sys.argv[1:])
