"""
One view of every pod that runs pod-lifecycle: `lifecycle fleet`, and the same as `kubectl lifecycle`.

All data comes from the Kubernetes API server, with your own rights. There is no agent in the cluster
and no other store.
"""

from __future__ import annotations
