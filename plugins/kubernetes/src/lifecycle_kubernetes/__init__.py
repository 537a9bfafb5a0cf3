"""
Kubernetes as the service registry: a readiness gate of the pod, an annotation for Dubbo, reports.

After installation, pod-lifecycle finds the plugin. lightkube is imported when the registry opens.
"""

from __future__ import annotations
