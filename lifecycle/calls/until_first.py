"""Waits for the first of several coroutines, and cancels the others."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


async def until_first(*waits: Coroutine[Any, Any, object]) -> None:
    """
    Return when one of the coroutines has returned or raised, and cancel the others.

    Raises:
        Exception: The error of a coroutine.
    """
    tasks = [asyncio.ensure_future(each) for each in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        done = [each for each in tasks if each.done() and not each.cancelled()]
        for each in tasks:
            each.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for each in done:
        each.result()
