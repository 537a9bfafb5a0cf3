"""
The user agents of health checks and scrapers, which do not delay the end of a drain.

Sources of the less known names: grafana/alloy `internal/useragent`, grafana/agent, istio/istio
`pkg/istio-agent/health`, cloudflare/cloudflared, and the documentation of Cloudflare's health
checks, of Azure Front Door, and of Istio's access log (Route 53).
"""

from __future__ import annotations

from typing import Final

MONITORS: Final = (
    "kube-probe/",
    "kube-lifecycle/",
    "istio-probe/",  # istio-agent itself. For merged metrics it uses the user agent of its scraper
    "GoogleHC/",
    "ELB-HealthChecker/",
    "Amazon-Route53-Health-Check-Service",
    "Azure Traffic Manager",
    "Edge Health Probe",  # Azure Front Door
    "Load Balancer Agent",
    "DigitalOcean Uptime Probe",
    # The documentation of Cloudflare has both spellings.
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
"""User agents, by prefix, whose requests do not restart the quiet period."""
