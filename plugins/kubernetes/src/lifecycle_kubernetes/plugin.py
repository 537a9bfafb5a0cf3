"""The plugin: gives the registry where there is an API server to register with."""

from __future__ import annotations

import lifecycle
from lifecycle_kubernetes.place import Enabled, NoAccount, Options, find_place


class Kubernetes:
    """Registers the app's services by the readiness gate of its own pod."""

    @lifecycle.hookimpl
    def lifecycle_options(self) -> type[Options]:
        """Give the options."""
        return Options

    @lifecycle.hookimpl
    def lifecycle_registries(
        self, life: lifecycle.Lifecycle, me: lifecycle.Me
    ) -> lifecycle.Registry | None:
        """
        Give the registry; none on a laptop.

        Raises:
            LifecycleError: It is enabled, and there is no service account.
        """
        options = me.options(Options)
        try:
            place = find_place(options.account)
        except NoAccount as missing:
            if options.enabled is Enabled.TRUE:
                raise lifecycle.LifecycleError(
                    f"LIFECYCLE_KUBERNETES_ENABLED=true: {missing}"
                ) from None
            life.log.info("kubernetes", registry="left out", reason=str(missing))
            return None
        from lifecycle_kubernetes.registry import PodRegistry

        return PodRegistry(life, place, options.idle)
