"""
Metrics for Prometheus from pod-lifecycle.

After installation, the QOS port (probe port) answers `GET /metrics`. If your app already has its own
page for Prometheus, register a `Collector` there instead.
"""

from __future__ import annotations

from lifecycle_prometheus.collector import Collector

__all__ = ["Collector"]
