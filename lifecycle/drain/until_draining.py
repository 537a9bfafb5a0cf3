"""A consumer's loop, which ends between two items when draining begins."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar

from lifecycle.states import State

T = TypeVar("T")


class Consumer(Protocol):
    """What a consumer's loop asks of the app's lifecycle."""

    @property
    def draining(self) -> bool:
        """True from T0 on."""

    async def reached(self, state: State) -> None:
        """Wait for a state."""

    def track(self) -> AbstractContextManager[object]:
        """Count one item in flight while it is entered."""


class _Cut(Exception):
    """Draining has begun before the next item was there."""


async def until_draining(life: Consumer, source: AsyncIterable[T]) -> AsyncGenerator[T, None]:
    """Pass on what `source` yields until draining begins; see `Lifecycle.until_draining`."""
    draining = asyncio.ensure_future(life.reached(State.DRAINING))
    iterator = aiter(source)
    try:
        while not life.draining:
            try:
                value = await _next(iterator, draining)
            except (StopAsyncIteration, _Cut):
                return
            with life.track():
                yield value
    finally:
        draining.cancel()
        if isinstance(iterator, AsyncGenerator):
            await _close(iterator)  # now: what it has fetched and not yielded it gives back


async def _next(iterator: AsyncIterator[T], draining: asyncio.Future[None]) -> T:
    """
    Await the next item, here in the consumer's own task, as a loop without us would.

    In a task of its own, the source's context variables, cancel scopes and timeouts around its
    `yield` would belong to another task than the one that they are left in.

    Raises:
        _Cut: Draining has begun, and the wait was cancelled for it.
    """
    own: BaseException | None = None
    # It never comes by itself: what is used of it is that it cancels, and takes that back.
    cut = asyncio.timeout(None)

    waits = True

    def now(_: asyncio.Future[None]) -> None:
        # It may have been called for before the item came, and come after: too late to be removed.
        if waits:
            cut.reschedule(asyncio.get_running_loop().time())

    try:
        async with cut:
            draining.add_done_callback(now)
            try:
                return await anext(iterator)
            except BaseException as error:
                own = error
                raise
            finally:
                waits = False
                draining.remove_done_callback(now)
    except TimeoutError as error:
        if error is own:
            raise
        raise _Cut from None


async def _close(source: AsyncGenerator[T, None]) -> None:
    """Close a source where it stands, between two items."""
    try:
        await source.aclose()
    except BaseExceptionGroup as group:
        # A task group around a `yield` wraps the GeneratorExit that ends it.
        if group.split(GeneratorExit)[1] is not None:
            raise
