"""Changes a Deployment, and tries again while the API server is unavailable."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from lifecycle_fleet.cluster.api import Api
from lifecycle_fleet.cluster.follow import pause as pause_after
from lifecycle_fleet.cluster.kinds import DEPLOYMENT
from lifecycle_fleet.errors import ApiServerError
from lifecycle_fleet.rollout import patches, workload
from lifecycle_fleet.rollout.fold import Fold

Object = dict[str, Any]

LIMIT: Final = 20.0
"""Seconds to try a change for."""
FINAL: Final = ("forbidden", "unauthorized", "not found", "invalid", "untrusted", "no access")
"""The failures that another try cannot fix."""


class Changed(Exception):
    """Another person or tool has changed the template, so there is nothing to undo."""


class Control:
    """
    The changes of one Deployment. Each one is tried until `LIMIT`.

    An interrupt waits for the answer of a request that is sent, so that the fold knows the result.

    Args:
        api: The API server.
        fold: The knowledge of the Deployment.
        namespace: Its namespace.
        name: Its name.
    """

    def __init__(self, api: Api, fold: Fold, namespace: str, name: str) -> None:
        self._api = api
        self._fold = fold
        self._namespace = namespace
        self._name = name

    async def restart(self) -> None:
        """Do what `kubectl rollout restart` does."""
        patch = patches.restart(time.time())
        await self._change(lambda: self._patch(patch))

    async def pause(self, *, paused: bool) -> None:
        """Pause or resume the Deployment."""
        await self._change(lambda: self._patch(patches.pause(paused=paused)))

    async def undo(self, template: Object, former: Object) -> None:
        """
        Return to a former revision, and resume the Deployment.

        Args:
            template: The template to undo.
            former: The ReplicaSet of the former revision.

        Raises:
            Changed: The template is another one by now, so that there is nothing to undo.
        """

        async def attempt() -> Object:
            found = await self._api.get(DEPLOYMENT, self._namespace, self._name)
            current = found["spec"]["template"]
            if workload.same(current, workload.template(former)) and not workload.is_paused(found):
                return found
            if not workload.same(current, template):
                raise Changed("another person or tool changed the template, so nothing was undone")
            return await self._patch(patches.undo(found, former))

        await self._change(attempt, undone=True)

    async def _patch(self, patch: patches.Patch) -> Object:
        return await self._api.patch(DEPLOYMENT, self._namespace, self._name, patch)

    async def _change(
        self, attempt: Callable[[], Awaitable[Object]], *, undone: bool = False
    ) -> None:
        failures, until = 0, time.monotonic() + LIMIT

        async def once() -> Object:
            async with asyncio.timeout(until - time.monotonic()):
                return await attempt()

        with self._fold.changing():
            while True:
                sent = asyncio.create_task(once())
                try:
                    await asyncio.shield(sent)
                except asyncio.CancelledError:
                    await asyncio.wait([sent])  # a second interrupt ends this
                    if not sent.cancelled() and sent.exception() is None:
                        self._fold.changed(sent.result(), time.time(), undone=undone)
                    raise
                except ApiServerError as error:
                    failures += 1
                    wait = pause_after(failures)
                    if error.state in FINAL or time.monotonic() + wait >= until:
                        raise
                    await asyncio.sleep(wait)
                except TimeoutError:
                    raise ApiServerError("slow", f"no answer for {LIMIT:g} s") from None
                else:
                    self._fold.changed(sent.result(), time.time(), undone=undone)
                    return
                finally:
                    sent.cancel()
