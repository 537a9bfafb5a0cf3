"""
Readiness probes for pod-lifecycle, each off until its options configure it.

Installed, they are found by themselves; a module is imported for its entry point only.
"""

from __future__ import annotations
