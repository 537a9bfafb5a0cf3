"""
Names that the manifests and lifecycle-kubernetes share.

The plugin sets the condition `REGISTERED` on its own pod. `RULES` are the rights that it needs.
"""

from __future__ import annotations

from typing import Any, Final

from lifecycle.checks.workloads.workload import REGISTERED as REGISTERED

RULES: Final[list[dict[str, Any]]] = [
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "watch"]},
    # The annotations are patched here too. The right to patch pods would allow to change images.
    {"apiGroups": [""], "resources": ["pods/status"], "verbs": ["patch"]},
    {
        "apiGroups": ["discovery.k8s.io"],
        "resources": ["endpointslices"],
        "verbs": ["list", "watch"],  # a watch that starts again lists first
    },
]
"""The rights of lifecycle-kubernetes: its own pod, and the endpoint slices that clients see."""

RUN_DIR: Final = "/run/lifecycle"
"""The folder of the control socket, because the root file system is read-only."""
