"""The plugin, which returns the registry if there is a URL."""

from __future__ import annotations

import lifecycle
from lifecycle_zookeeper.options import Options


class ZooKeeper:
    """Registers the services of the app in ZooKeeper."""

    @lifecycle.hookimpl
    def lifecycle_options(self) -> type[Options]:
        """Return the options class."""
        return Options

    @lifecycle.hookimpl
    def lifecycle_registries(
        self, life: lifecycle.Lifecycle, me: lifecycle.Me
    ) -> lifecycle.Registry:
        """Return the registry."""
        from lifecycle_zookeeper.registry import make_registry

        return make_registry(life, me.options(Options))
