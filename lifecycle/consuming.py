"""A consumer's loop, which ends between two items when draining begins."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from typing import TYPE_CHECKING, TypeVar

from lifecycle.states import State

if TYPE_CHECKING:
    from lifecycle.runtime import Lifecycle

T = TypeVar("T")


async def until_draining(life: Lifecycle, source: AsyncIterable[T]) -> AsyncGenerator[T, None]:
    """Pass on what `source` yields until draining begins; see `Lifecycle.until_draining`."""
    draining = asyncio.ensure_future(life.reached(State.DRAINING))
    iterator = aiter(source)
    item: asyncio.Future[T] | None = None
    try:
        while not life.draining:
            item = asyncio.ensure_future(_next(iterator))
            await asyncio.wait({item, draining}, return_when=asyncio.FIRST_COMPLETED)
            if not item.done():
                item.cancel()
                await asyncio.wait({item})
                if item.cancelled():
                    return
            try:
                value = item.result()
            except StopAsyncIteration:
                return
            with life.track():
                yield value
    finally:
        draining.cancel()
        if item is not None:
            item.cancel()


async def _next(iterator: AsyncIterator[T]) -> T:
    return await anext(iterator)
