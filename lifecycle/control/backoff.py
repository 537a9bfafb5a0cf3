"""Retries a call forever, with backoff and jitter."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Awaitable, Callable
from typing import Final

FIRST: Final = 0.1
LONGEST: Final = 15.0


def prepare() -> None:
    """Import the modules for retries now, because nothing is imported after the drain starts."""
    importlib.import_module("tenacity")


async def until_done(
    attempt: Callable[[], Awaitable[None]],
    *,
    fatal: tuple[type[Exception], ...] = (),
    first: float = FIRST,
    longest: float = LONGEST,
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """
    Await `attempt()` again and again until it raises nothing.

    Args:
        attempt: One try.
        fatal: Errors that are raised instead of retried.
        first: Seconds before the second try. The pause doubles for each further try, with jitter.
        longest: The longest pause in seconds.
        pause: Waits for a number of seconds before the next try.
    """
    first = min(first, longest)
    try:
        await attempt()
    except fatal:
        raise
    except Exception:  # noqa: BLE001 - any error of a client library is retried
        import tenacity  # imported only after a failure

        await pause(first)
        await tenacity.AsyncRetrying(
            sleep=pause,
            wait=tenacity.wait_exponential(first * 2, longest - first)
            + tenacity.wait_random(0, first),
            # Only `Exception`, because tenacity would retry after a cancellation too.
            retry=tenacity.retry_if_exception(
                lambda error: isinstance(error, Exception) and not isinstance(error, fatal)
            ),
            reraise=True,
        )(attempt)
