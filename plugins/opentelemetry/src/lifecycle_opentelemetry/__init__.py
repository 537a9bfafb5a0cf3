"""
Traces and metrics for OpenTelemetry from pod-lifecycle.

After installation, the start and the drain of your app become spans, and its last spans and metrics
are sent before the process exits. There is nothing to import.
"""
