"""`make cluster`: the test cluster in the foreground, until Ctrl-C."""

from __future__ import annotations

import signal
from contextlib import suppress

from tests.cluster.cluster import Cluster

if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    with suppress(KeyboardInterrupt), Cluster() as cluster:
        print(f"export KUBECONFIG={cluster.kubeconfig} E2E_IMAGE={cluster.image}")
        print(f"kubectl is there as `{cluster.kubectl}`. Ctrl-C stops it all.", flush=True)
        signal.pause()
