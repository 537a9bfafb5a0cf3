"""
Istio's sidecar: main begins when it is ready, and a job ends it.

Installed, it is found by itself, and is off until an option says what it is to do.
"""

from __future__ import annotations
