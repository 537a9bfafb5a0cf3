"""
Kubernetes as the registry: the pod's own readiness gate, and the annotation that Dubbo reads.

Installed, it is found by itself; lightkube is imported when the registry opens.
"""

from __future__ import annotations
