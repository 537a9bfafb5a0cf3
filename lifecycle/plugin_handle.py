"""Adding a plugin while the app runs, and removing it again."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Final

from lifecycle.calls.control_thread import CALL_TIME, Late
from lifecycle.calls.threads import decided_once, on_a_loop
from lifecycle.exceptions import LifecycleError, NotRunning

if TYPE_CHECKING:
    from lifecycle.calls.plugin_types import AnyPlugin
    from lifecycle.core import Core

USE_TIME: Final = 1.0
"""Seconds for which `use` and `remove` may block an event loop, if the plugin has registries."""


class InstalledPlugin:
    """
    A plugin that was added with `Lifecycle.use` or `Lifecycle.use_async`.

    Attributes:
        name: The plugin's name. Once the plugin is removed, another one may have it.
    """

    def __init__(self, core: Core, name: str) -> None:
        self.name = name
        self._core = core
        self._plugin = core.plugins.get(name)  # None if the plugin is off
        self._lock = threading.Lock()

    def remove(self) -> None:
        """
        Remove the plugin. You can call this from any thread except the control thread.

        The removal works at once. The plugin's hooks are no longer called, and its probes,
        commands and options do not exist any more.
        The result of a running probe is ignored. Then the services are deregistered from the
        plugin's registries, within `register_timeout`, and these registries are closed.

        On an event loop, `remove` blocks the loop. It waits 1 s at most, and the rest is done in
        the background. For a plugin with registries, use `remove_async` there.

        If the app is draining, the drain deregisters the services and closes the registries. If
        the plugin is already removed, or the app has ended, this method does nothing.

        Raises:
            LifecycleError: The caller is the control thread.
        """
        if self._core.control.here:
            raise LifecycleError(
                "remove() must not be called on the control thread", see="control-thread-blocked"
            )
        timeout = USE_TIME if on_a_loop() else None
        plugin = self._take()
        with contextlib.suppress(NotRunning, Late):
            activation = self._core.running().activation
            self._core.control.wait(lambda: activation.deactivate(self.name, plugin), timeout)

    async def remove_async(self) -> None:
        """
        Remove the plugin, like `remove`, without blocking the event loop.

        If your task is cancelled meanwhile, the removal continues.
        """
        plugin = self._take()
        with contextlib.suppress(NotRunning):
            activation = self._core.running().activation
            await self._core.control.request(lambda: activation.deactivate(self.name, plugin))

    def _take(self) -> object | None:
        """Return the plugin on the first call, then None."""
        with self._lock:
            plugin, self._plugin = self._plugin, None
        return plugin

    def __repr__(self) -> str:
        return f"InstalledPlugin({self.name!r})"


def install(core: Core, plugin: AnyPlugin, name: str | None) -> InstalledPlugin:
    """Implement `Lifecycle.use`."""
    core.running()
    if core.control.here:
        raise LifecycleError(
            "use() must not be called on the control thread", see="control-thread-blocked"
        )
    name = core.plugins.add(plugin, name)
    installed = InstalledPlugin(core, name)
    decides = decided_once()
    limit = _limit(core, name) if on_a_loop() else None
    try:
        core.control.wait(lambda: core.install(name, decides), limit)
    except Late:
        if not decides():  # the registries have opened at this moment
            return installed
        core.plugins.remove(name)
        raise LifecycleError(
            f"plugin {name!r} was not open after {limit:g} s, and use() blocks this event "
            "loop. Use `await life.use_async(plugin)` instead.",
            see="plugin-opened-too-slowly",
        ) from None
    except BaseException:
        if decides():
            core.plugins.remove(name)
        raise
    return installed


def _limit(core: Core, name: str) -> float:
    """Return the seconds to wait. Only a registry may be slow itself; anything else waits its turn."""
    opens = core.plugins.implementations("lifecycle_registries")
    return USE_TIME if any(each.plugin == name for each in opens) else CALL_TIME


async def install_async(core: Core, plugin: AnyPlugin, name: str | None) -> InstalledPlugin:
    """Implement `Lifecycle.use_async`."""
    core.running()
    name = core.plugins.add(plugin, name)
    installed = InstalledPlugin(core, name)
    decides = decided_once()
    try:
        await core.control.request(lambda: core.install(name, decides))
    except BaseException:
        if decides():
            core.plugins.remove(name)
        raise
    return installed
