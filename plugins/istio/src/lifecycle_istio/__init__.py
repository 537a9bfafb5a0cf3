"""
Istio's sidecar: main starts when the sidecar is ready, and a job ends the sidecar.

After installation, pod-lifecycle finds the plugin. The plugin is off until you set an option.
"""

from __future__ import annotations
