"""Sources of apps whose main is given line by line."""

from __future__ import annotations

# A service is exported, so that every one of these must deregister it.
MAIN = """
import asyncio, os, sys, threading, time, lifecycle

async def main(life):
    life.export("orders", port=int(os.environ["PORT"]))
    await life.ready()
{body}

lifecycle.run(main)
"""

UNMODIFIED = """
import asyncio, os, sys, threading, time, lifecycle

async def main():
    print("up", flush=True)
{body}

lifecycle.run(main)
"""


def with_main(*lines):
    return MAIN.format(body="\n".join(f"    {line}" for line in lines))


def unmodified(*lines):
    return UNMODIFIED.format(body="\n".join(f"    {line}" for line in lines))
