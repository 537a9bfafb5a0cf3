"""A worker framework that handles the signals itself stops fetching when the drain starts."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path

from redis import Redis

from tests.process.kit import App, wait_for

EXAMPLE = str(Path(__file__).parents[2] / "examples" / "faststream_worker.py")
SETTLE = 5.0


def done_by(app: App) -> list[int]:
    lines = [line for line in app.stdout.splitlines() if line.startswith("done ")]
    return [int(line.removeprefix("done ")) for line in lines]


def test_it_finishes_its_message_and_fetches_no_other(
    start: Callable[..., App], redis_url: str
) -> None:
    """Long before `settle` is over it has left, and each message is done or still in the list."""
    app = start(EXAMPLE, REDIS_URL=redis_url, LIFECYCLE_SETTLE=str(SETTLE))
    with Redis.from_url(redis_url) as redis:
        app.wait_state("ready", 20)
        redis.rpush("orders", *range(100))
        wait_for(lambda: len(done_by(app)) >= 2, 20, "two messages")

        at = app.signal(signal.SIGTERM)
        assert app.wait() == 0, app.stderr

        assert time.monotonic() - at < SETTLE
        assert app.stdout.endswith("every message is done\n")
        left = [int(each) for each in redis.lrange("orders", 0, -1)]
        assert done_by(app) + left == list(range(100))
