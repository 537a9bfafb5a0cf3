"""
Monitors: clients that only look whether an app is there, and do not keep a drain from being quiet.

Where the names of the less known are from: grafana/alloy `internal/useragent`, grafana/agent,
istio/istio `pkg/istio-agent/health`, cloudflare/cloudflared, and the documentation of
Cloudflare's health checks, of Azure Front Door, and of Istio's access log (Route 53).
"""

from __future__ import annotations

from typing import Final

MONITORS: Final = (
    "kube-probe/",
    "kube-lifecycle/",
    "istio-probe/",  # istio-agent's own; the metrics it merges, it asks for as its scraper
    "GoogleHC/",
    "ELB-HealthChecker/",
    "Amazon-Route53-Health-Check-Service",
    "Azure Traffic Manager",
    "Edge Health Probe",  # Azure Front Door
    "Load Balancer Agent",
    "DigitalOcean Uptime Probe",
    # Cloudflare's documentation spells it in both ways.
    "Mozilla/5.0 (compatible; Cloudflare-Healthchecks/",
    "Mozilla/5.0 (compatible;Cloudflare-Healthchecks/",
    "Mozilla/5.0 (compatible; Cloudflare-Traffic-Manager/",
    "Envoy/HC",
    "Prometheus/",
    "Alloy/",
    "GrafanaAgent/",
    "vm_promscrape",
    "OpenTelemetry Collector",
    "Consul Health Check",
    "HAProxy",
    "Blackbox Exporter/",
    "Datadog Agent/",
)
"""User agents (by prefix) that do not disturb the quiet of a drain."""
