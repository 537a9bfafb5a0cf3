"""The parts of the server, put together: watches, pods, stream, metrics, and who may read."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import lifecycle
from lifecycle_fleet.cluster.api import Api
from lifecycle_fleet.serve.access import Access
from lifecycle_fleet.serve.answers import Answer, Handler, Receive, Scope, Send, header
from lifecycle_fleet.serve.feed import Feed
from lifecycle_fleet.serve.fleet import Fleet
from lifecycle_fleet.serve.metrics import FleetCollector, MetricsPage
from lifecycle_fleet.serve.pods_json import PodsPage
from lifecycle_fleet.serve.settings import Settings
from lifecycle_fleet.serve.streams import Streams
from lifecycle_fleet.serve.watches import Logger, Watches


class Parts:
    """
    The parts.

    Args:
        api: The API server.
        settings: The settings.
        log: The log.

    Attributes:
        access: The check of tokens. None if each client may read.
        handlers: The handler of each path that needs the right to read.
    """

    def __init__(self, api: Api, settings: Settings, log: Logger) -> None:
        self._settings = settings
        self._log = log
        self._wake = asyncio.Event()
        fleet = Fleet(time.time, all_pods=settings.all_pods, on_change=self._wake.set)
        self._watches = Watches(
            api, fleet, log, settings.namespace, settings.selector, on_link=self._link
        )
        self._feed = Feed(fleet, self._about, self._wake, log)
        self._metrics = MetricsPage(FleetCollector(fleet, self._numbers), time.monotonic)
        self.access = (
            Access(api, settings.namespace, time.monotonic, self._say) if settings.token else None
        )
        self.handlers: dict[str, Handler] = {
            "/pods.json": PodsPage(fleet).answer,
            "/events": Streams(self._feed, self.access).answer,
            "/metrics": self._scrape,
        }

    async def run(self, ready: Callable[[], object]) -> None:
        """
        Watch, and publish the changes, forever.

        Args:
            ready: Called when every first list is here.

        Raises:
            ApiServerError: Pods cannot be listed, and waiting does not help. In a group.
        """

        def listed() -> None:
            self._feed.flush()  # so that the first reader sees what was listed
            ready()

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watches.run(listed))
            tasks.create_task(self._feed.run())

    def _link(self) -> None:
        self._feed.link(self._watches.problems)

    def _about(self) -> dict[str, Any]:
        return {
            "version": lifecycle.__version__,
            "namespace": self._settings.namespace,
            "selector": self._settings.selector,
            "missing": self._watches.missing,
            "link": self._watches.problems,
        }

    def _numbers(self) -> dict[str, Any]:
        watches = self._watches
        return {
            "readers": self._feed.readers,
            "lists": watches.lists,
            "watching": watches.watching,
        }

    def _say(self, problem: str) -> None:
        if problem:
            self._log.warning(
                "review failed",
                problem=problem,
                see=lifecycle.LifecycleError(see="errors.md#fleet-review").see,
            )

    async def _scrape(self, scope: Scope, _receive: Receive, send: Send) -> None:
        body, content_type = self._metrics.answer(header(scope, b"accept"))
        answer = Answer(body, content_type=content_type)
        await answer.send(send, head=scope["method"] == "HEAD")
