"""A loop over items of a queue, which ends between two items when the drain starts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar

from lifecycle.states import State

T = TypeVar("T")


class Consumer(Protocol):
    """The part of `Lifecycle` that such a loop uses."""

    @property
    def draining(self) -> bool:
        """True as soon as the drain has started."""

    async def reached(self, state: State) -> None:
        """Wait for a state."""

    def track(self, *, name: str) -> AbstractContextManager[object]:
        """Return a context manager that counts one item as work in flight."""


class _Cut(Exception):
    """The drain has started before the next item came."""


async def until_draining(life: Consumer, source: AsyncIterable[T]) -> AsyncGenerator[T, None]:
    """Yield the items of `source` until the drain starts. See `Lifecycle.until_draining`."""
    draining = asyncio.ensure_future(life.reached(State.DRAINING))
    iterator, name = aiter(source), f"item of {_name_of(source)}"
    try:
        while not life.draining:
            try:
                value = await _next(iterator, draining)
            except (StopAsyncIteration, _Cut):
                return
            with life.track(name=name):
                yield value
    finally:
        draining.cancel()
        if isinstance(iterator, AsyncGenerator):
            await _close(iterator)  # now, so that it can return what it has fetched


def _name_of(source: object) -> str:
    """Return the name of a function that yields, or else of a class."""
    name = getattr(source, "__name__", None)
    return name if isinstance(name, str) else type(source).__name__


async def _next(iterator: AsyncIterator[T], draining: asyncio.Future[None]) -> T:
    """
    Await the next item in the task of the caller, as `async for` does.

    In another task, the context variables, cancel scopes and timeouts around a `yield` of the
    source would be entered and left in different tasks.

    Raises:
        _Cut: The drain has started, and the wait was cancelled.
    """
    own: BaseException | None = None
    # The timeout never expires by itself. It is used because it can cancel, and undo this.
    cut = asyncio.timeout(None)

    waits = True

    def now(_: asyncio.Future[None]) -> None:
        # This callback may already be scheduled when the item comes, and cannot be removed then.
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
    """Close a source between two items."""
    try:
        await source.aclose()
    except BaseExceptionGroup as group:
        # A task group around a `yield` wraps the GeneratorExit that ends it.
        if group.split(GeneratorExit)[1] is not None:
            raise
