"""Trying again until it works: with backoff and jitter, for ever."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Awaitable, Callable
from typing import Final

FIRST: Final = 0.1
LONGEST: Final = 15.0


def prepare() -> None:
    """Load what trying again needs: from T0 on nothing is imported any more."""
    importlib.import_module("tenacity")


async def until_done(
    attempt: Callable[[], Awaitable[None]],
    *,
    fatal: tuple[type[Exception], ...] = (),
    first: float = FIRST,
    longest: float = LONGEST,
) -> None:
    """
    Await `attempt()` again and again until it raises nothing.

    Args:
        attempt: One try.
        fatal: What is not tried again, but raised.
        first: Seconds before the second try; doubled, with jitter, for each one after.
        longest: Seconds that no pause exceeds.
    """
    try:
        await attempt()
    except fatal:
        raise
    except Exception:  # noqa: BLE001 - whatever a client library raises: try again
        import tenacity  # who cannot fail never pays for it

        await asyncio.sleep(first)
        await tenacity.AsyncRetrying(
            sleep=asyncio.sleep,
            wait=tenacity.wait_exponential(first * 2, longest - first)
            + tenacity.wait_random(0, first),
            # Not "unless fatal": tenacity would try again after a cancellation too.
            retry=tenacity.retry_if_exception(
                lambda error: isinstance(error, Exception) and not isinstance(error, fatal)
            ),
            reraise=True,
        )(attempt)
