"""Waiting until a server listens, where the server itself does not say when."""

from __future__ import annotations

from lifecycle.control.backoff import until_done
from lifecycle.drain.kernel_sockets import is_listening


async def until_listening(port: int) -> None:
    """Wait until something listens on a port of this machine: the one thing found by looking."""

    async def look() -> None:
        if not is_listening(port):
            raise ConnectionError(f"nothing listens on port {port}")

    await until_done(look, first=0.02, longest=0.5)
