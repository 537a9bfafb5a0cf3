"""
Names that the manifests and lifecycle-kubernetes share.

The plugin sets the condition `REGISTERED` on its own pod. `RULES` are the rights that it needs at
most.
"""

from __future__ import annotations

from typing import Any, Final

from lifecycle.checks.workloads.workload import REGISTERED as REGISTERED
from lifecycle.manifests.rights import rules

RULES: Final[list[dict[str, Any]]] = rules({}, registers=True)
"""The rights of lifecycle-kubernetes: its own pod, its Events, and the slices that clients see."""

RUN_DIR: Final = "/run/lifecycle"
"""The folder of the control socket, because the root file system is read-only."""
