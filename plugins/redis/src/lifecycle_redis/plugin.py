"""The plugin, which returns the registry if there is a URL."""

from __future__ import annotations

import secrets

import lifecycle
from lifecycle_redis.options import Options


class Redis:
    """Registers the services of the app in Redis."""

    @lifecycle.hookimpl
    def lifecycle_options(self) -> type[Options]:
        """Return the options class."""
        return Options

    @lifecycle.hookimpl
    def lifecycle_registries(
        self, life: lifecycle.Lifecycle, me: lifecycle.Me
    ) -> lifecycle.Registry:
        """Return the registry."""
        from lifecycle_redis.registry import RedisRegistry

        return RedisRegistry(life, me.options(Options), secrets.token_hex(16))
