"""The plugin, which returns the registry if there is access to an API server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import lifecycle
from lifecycle_kubernetes.place import Enabled, NoAccount, Options, find_place

if TYPE_CHECKING:
    from lifecycle_kubernetes.registry import PodRegistry


class Kubernetes:
    """Registers the services of the app with the readiness gate of its pod, and reports its state."""

    _registry: PodRegistry | None = None

    @lifecycle.hookimpl
    def lifecycle_options(self) -> type[Options]:
        """Return the options class."""
        return Options

    @lifecycle.hookimpl
    def lifecycle_registries(
        self, life: lifecycle.Lifecycle, me: lifecycle.Me
    ) -> lifecycle.Registry | None:
        """
        Return the registry. None on a laptop.

        Raises:
            LifecycleError: The option `enabled` is true, but there is no service account.
        """
        options = me.options(Options)
        try:
            place = find_place(options.account)
        except NoAccount as missing:
            if options.enabled is Enabled.TRUE:
                raise lifecycle.LifecycleError(
                    f"LIFECYCLE_KUBERNETES_ENABLED=true: {missing}",
                    see="errors.md#no-service-account",
                ) from None
            life.log.info("kubernetes", registry="left out", reason=str(missing))
            return None
        from lifecycle_kubernetes.registry import PodRegistry

        self._registry = PodRegistry(life, place, options)
        return self._registry

    @lifecycle.hookimpl
    def lifecycle_transition(self) -> None:
        """Report the new state to the cluster."""
        if self._registry is not None:
            self._registry.look_soon()
