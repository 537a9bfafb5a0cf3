"""
Readiness probes for pod-lifecycle. Each probe is off until its options configure it.

After installation, pod-lifecycle finds the probes. Each module is imported only for its own probe.
"""

from __future__ import annotations
