"""The metrics in the manifest: how Prometheus finds the pods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from lifecycle.calls.entry_points import entry_points

PLUGIN: Final = "lifecycle-prometheus"
PATH: Final = "/metrics"
INTERVAL: Final = "10s"
"""Between two scrapes. A drain takes 30 s at most, and is seen only if it is scraped meanwhile."""
ANNOTATIONS: Final = "annotations"
PODMONITOR: Final = "podmonitor"
WAYS: Final = (ANNOTATIONS, PODMONITOR)
"""The values of `--metrics`: for a Prometheus that reads annotations, or for Prometheus Operator."""
_NAME: Final = "prometheus"
_MODULE: Final = "lifecycle_prometheus."
_LEVEL: Final = "LIFECYCLE_PROMETHEUS_LEVEL"


def pod_annotations(port: int) -> dict[str, str]:
    """Return the annotations of a pod that is scraped on this port."""
    return {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": str(port),
        "prometheus.io/path": PATH,
    }


def monitor(metadata: Mapping[str, Any], labels: Mapping[str, str], port: str) -> dict[str, Any]:
    """
    Return the PodMonitor.

    Args:
        metadata: Its own metadata.
        labels: The labels that select the pods.
        port: The name of the port.
    """
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PodMonitor",
        "metadata": dict(metadata),
        "spec": {
            "selector": {"matchLabels": dict(labels)},
            "podMetricsEndpoints": [{"port": port, "path": PATH, "interval": INTERVAL}],
        },
    }


def refusal(env: Mapping[str, str], command: Sequence[str]) -> str:
    """Return why Prometheus cannot scrape this app. Empty if it can."""
    own = command[: command.index("--")] if "--" in command else command
    if any(word.endswith(f"no:{_NAME}") for word in own):
        return f"--metrics needs {PLUGIN}, and the app's command turns it off with no:{_NAME}"
    plugins = map(str.strip, env.get("LIFECYCLE_PLUGINS", "").split(","))
    if f"no:{_NAME}" in plugins:
        return f"--metrics needs {PLUGIN}, and LIFECYCLE_PLUGINS turns it off with no:{_NAME}"
    level = env.get(_LEVEL, "").strip()
    if level not in ("", "public"):
        return (
            f"--metrics needs {_LEVEL}=public, because Prometheus calls from outside the pod. "
            f"{_LEVEL} is {level}"
        )
    return ""


def note() -> str:
    """Return a warning if the plugin is not installed here. Empty if it is."""
    found = entry_points("lifecycle")
    if any(each.name == _NAME and each.value.startswith(_MODULE) for each in found):
        return ""
    return (
        f"Prometheus scrapes {PATH}, which needs {PLUGIN} in the image. The plugin is not "
        f"installed here. Without it in the image, each scrape fails with 404"
    )
