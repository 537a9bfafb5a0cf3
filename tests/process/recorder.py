"""
A plugin that runs inside the apps of these tests: it writes down what it is told.

Every line of the file `RECORD` is one transition, registration or deregistration, with the
time of the machine's monotonic clock, which all processes share.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time

from lifecycle import Instance, Registry, Transition, hookimpl


def write(what: str, **fields: str) -> None:
    """Append one line."""
    with open(os.environ["RECORD"], "a", encoding="utf-8") as file:
        print(json.dumps({"what": what, "at": time.monotonic(), **fields}), file=file)


class Recording(Registry):
    """A registry that takes `REGISTER_SECONDS` to acknowledge."""

    name = "recording"

    async def register(self, instance: Instance) -> None:
        write("register", service=instance.service)
        await asyncio.sleep(float(os.environ.get("REGISTER_SECONDS", "0")))
        write("registered", service=instance.service)

    async def deregister(self, instance: Instance) -> None:
        await asyncio.sleep(float(os.environ.get("DEREGISTER_SECONDS", "0")))
        write("deregister", service=instance.service)

    async def keep(self, instance: Instance) -> str:
        await asyncio.sleep(3600)
        return "never"


@hookimpl
def lifecycle_registries() -> Registry:
    """Give the registry."""
    return Recording()


@hookimpl
def lifecycle_transition(transition: Transition) -> None:
    """Write it down; send the process a SIGTERM if it is to have one now."""
    write("transition", before=transition.before, after=transition.after, cause=transition.cause)
    if os.environ.get("SIGTERM_AT") == transition.after:
        os.kill(os.getpid(), signal.SIGTERM)
