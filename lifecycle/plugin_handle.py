"""Adding a plugin to a lifecycle that runs, and taking it out again."""

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
"""Seconds that `use` and `remove` may hold up an event loop, for registries."""


class InstalledPlugin:
    """
    A plugin that was added with `Lifecycle.use` or `Lifecycle.use_async`.

    Attributes:
        name: The plugin's name. Once the plugin is removed, another one may have it.
    """

    def __init__(self, core: Core, name: str) -> None:
        self.name = name
        self._core = core
        self._plugin = core.plugins.get(name)  # None if it is switched off
        self._lock = threading.Lock()

    def remove(self) -> None:
        """
        Take the plugin out again. From any thread but the control thread.

        At once its hooks are called no more, and its probes, its commands and its options are
        gone. A probe that is running is given up. Then its registries are left: what is
        registered there is deregistered, within `register_timeout`, and they are closed. On an
        event loop, which stands still meanwhile, `remove` waits 1 s at most for that, and the
        rest is done in the background: use `remove_async` there for a plugin with registries.

        If the app is draining, the drain itself deregisters there and closes the registries. To
        remove a plugin twice, or after the lifecycle has ended, does nothing.

        Raises:
            LifecycleError: This is the control thread.
        """
        if self._core.control.here:
            raise LifecycleError("remove() on the control thread would wait for itself")
        timeout = USE_TIME if on_a_loop() else None
        plugin = self._take()
        with contextlib.suppress(NotRunning, Late):
            activation = self._core.running().activation
            self._core.control.wait(lambda: activation.deactivate(self.name, plugin), timeout)

    async def remove_async(self) -> None:
        """
        Take the plugin out again, like `remove`, without holding up the event loop.

        If you are cancelled meanwhile, the removal goes on.
        """
        plugin = self._take()
        with contextlib.suppress(NotRunning):
            activation = self._core.running().activation
            await self._core.control.request(lambda: activation.deactivate(self.name, plugin))

    def _take(self) -> object | None:
        """Return the plugin, the first time only."""
        with self._lock:
            plugin, self._plugin = self._plugin, None
        return plugin

    def __repr__(self) -> str:
        return f"InstalledPlugin({self.name!r})"


def install(core: Core, plugin: AnyPlugin, name: str | None) -> InstalledPlugin:
    """Do what `Lifecycle.use` says."""
    core.running()
    if core.control.here:
        raise LifecycleError("use() on the control thread would wait for itself")
    name = core.plugins.add(plugin, name)
    installed = InstalledPlugin(core, name)
    decides = decided_once()
    limit = _limit(core, name) if on_a_loop() else None
    try:
        core.control.wait(lambda: core.install(name, decides), limit)
    except Late:
        if not decides():  # it has come through at this very moment
            return installed
        core.plugins.remove(name)
        raise LifecycleError(
            f"plugin {name!r} was not open after {limit:g} s, in which use() blocked this "
            "event loop: write `await life.use_async(plugin)`"
        ) from None
    except BaseException:
        if decides():
            core.plugins.remove(name)
        raise
    return installed


def _limit(core: Core, name: str) -> float:
    """A registry may take its time; all else takes as long as the control thread is busy."""
    opens = core.plugins.implementations("lifecycle_registries")
    return USE_TIME if any(each.plugin == name for each in opens) else CALL_TIME


async def install_async(core: Core, plugin: AnyPlugin, name: str | None) -> InstalledPlugin:
    """Do what `Lifecycle.use_async` says."""
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
