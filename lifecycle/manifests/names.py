"""
The names that the manifests and the registry of Kubernetes have to agree on.

`lifecycle-kubernetes` sets the condition on its own pod; what it may do there is `RULES`.
"""

from __future__ import annotations

from typing import Any, Final

from lifecycle.checks.workloads.workload import REGISTERED as REGISTERED

RULES: Final[list[dict[str, Any]]] = [
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "watch"]},
    # Its annotations too: the right to patch pods would be one to change their images.
    {"apiGroups": [""], "resources": ["pods/status"], "verbs": ["patch"]},
    {
        "apiGroups": ["discovery.k8s.io"],
        "resources": ["endpointslices"],
        "verbs": ["list", "watch"],  # a watch that begins anew lists first
    },
]
"""What the registry asks of the API server: its own pod, and whether others see it."""

RUN_DIR: Final = "/run/lifecycle"
"""Where the control socket is, under a root file system that is read-only."""
