"""Calls one hook of every plugin in parallel, and names the plugins that have not returned."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from lifecycle.calls.dispatch import Own
from lifecycle.links import help_page
from lifecycle.log import Log

OURS: Final = "lifecycle."
"""The prefix of our own modules. Their hooks wait for facts that are shown anyway."""
NAMED: Final = 10
"""Plugins that are named at most."""


class HookCalls:
    """
    The calls of one hook. For the control loop.

    Args:
        hook: The name of the hook.
        log: The log for hooks that fail, and for those that are late.
    """

    def __init__(self, hook: str, log: Log) -> None:
        self._hook = hook
        self._log = log
        self._since: dict[Own, float] = {}
        """The calls that have not returned, with the time of each call."""

    async def run(self, calls: Sequence[Own], **offered: Any) -> None:
        """Call all plugins, and return when every hook has returned. Cancels them if cancelled."""
        async with asyncio.TaskGroup() as group:
            for call in list(calls):
                group.create_task(self._run(call, offered))

    async def _run(self, call: Own, offered: dict[str, Any]) -> None:
        self._since[call] = asyncio.get_running_loop().time()
        outcome = await call(**offered)
        # Not in `finally`, because a cancelled call has not returned, and is named afterwards.
        del self._since[call]
        if problem := outcome.problem():
            self._complain(call, problem)

    def complain(self) -> None:
        """Log the plugins whose hook has not returned, because their time is over."""
        now = asyncio.get_running_loop().time()
        for call, since in self._since.items():
            if _shown(call):
                self._complain(call, f"gave no answer for {now - since:.1f} s")

    def _complain(self, call: Own, problem: str) -> None:
        self._log.warning(
            "plugin",
            plugin=call.plugin,
            problem=f"{self._hook} {problem}",
            see=help_page("plugin-hook-failed"),
        )

    def names(self) -> list[str]:
        """
        Return the plugins whose hook has not returned.

        For example `lifecycle_drain of plugin 'kafka'`, or `lifecycle_stop of plugin 'tracing'`.
        """
        late = [each.plugin for each in self._since if _shown(each)]
        return [f"{self._hook} of plugin {plugin!r}" for plugin in late[:NAMED]]


def _shown(call: Own) -> bool:
    try:
        return not str(call.implementation.function.__module__).startswith(OURS)
    except Exception:  # noqa: BLE001 - a foreign callable, in the middle of a drain
        return True
