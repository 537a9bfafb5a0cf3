"""
Kubernetes as the service registry: a readiness gate of the pod, and an annotation for Dubbo.

After installation, pod-lifecycle finds the plugin. lightkube is imported when the registry opens.
"""

from __future__ import annotations
