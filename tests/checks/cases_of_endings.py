"""Signals, grace periods of probes, and what stands in front of an app: what the rules find."""

from __future__ import annotations

from typing import Any

from tests.checks.kit import PRESTOP, QOS, RUN, SERVED, SH, START, WEB, env, get, pod, probe, sleep

SIGNAL = "stop-signal"
GRACE = "probe-grace"
FRONT = "front-container"
LINUX = {"os": {"name": "linux"}}
HTTP = {"ports": [{"containerPort": 80, "name": "http"}]}
NGINX = {"image": "docker.io/library/nginx:1.29@sha256:0", **HTTP}
FLUSHES = sleep(*SH, "flush")
LABELS = {"app": "orders", "tier": "web"}


def stopped(made: dict[str, Any], signal: object) -> dict[str, Any]:
    """Make a container with a stopSignal."""
    return made | {"lifecycle": {**made.get("lifecycle", {}), "stopSignal": signal}}


def live(grace: object, **more: Any) -> dict[str, Any]:
    """Make a container under a lifecycle whose liveness probe has its own grace period."""
    own = {"terminationGracePeriodSeconds": grace} if grace is not None else {}
    return SERVED | probe("liveness", get("/live", 22222), **own) | more


def labelled(*containers: dict[str, Any], **spec: Any) -> dict[str, Any]:
    """Make a pod that a Service can select."""
    made = pod(*containers, **spec)
    return made | {"metadata": {"name": "orders", "labels": LABELS}}


def service(target: object, **selector: str) -> dict[str, Any]:
    """Make a Service that sends requests to a port of the pods that it selects."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "orders"},
        "spec": {
            "selector": selector or {"app": "orders"},
            "ports": [{"port": 80} if target is None else {"port": 8000, "targetPort": target}],
        },
    }


ENDINGS: list[tuple[list[str], tuple[dict[str, Any], ...]]] = [
    # stop-signal: what Kubernetes refuses
    ([f"error {SIGNAL}"], (pod(stopped(WEB, "SIGUSR1")),)),
    ([f"error {SIGNAL}"], (pod(stopped(WEB, "TERM"), **LINUX),)),
    ([f"error {SIGNAL}"], (pod(stopped(WEB, "15")),)),
    ([f"error {SIGNAL}"] * 2, (pod(stopped(SERVED, "SIGUSR1")),)),
    ([], (pod(stopped(WEB, "SIGRTMIN+3"), **LINUX),)),
    ([], (pod(stopped(WEB, "SIGTERM"), os={"name": "windows"}),)),
    # stop-signal: what servers do
    *(
        (expected, (pod(stopped(made, signal), **LINUX),))
        for made, signal, expected in (
            *((NGINX, name, found) for name, found in (
                ("SIGQUIT", []), ("SIGTERM", [f"warning {SIGNAL}"]), ("SIGHUP", [f"error {SIGNAL}"]),
            )),
            ({"command": ["nginx", "-g", "daemon off;"]}, "SIGWINCH", [f"error {SIGNAL}"]),
            ({"image": "registry.example:5000/nginx", "command": ["/app"]}, "SIGHUP", []),
            ({"image": "registry.example/nginx-exporter:1"}, "SIGHUP", []),
            ({"image": "haproxy:3"}, "SIGUSR1", []),
            ({"image": "httpd"}, "SIGWINCH", []),
            ({"command": ["apache2-foreground"]}, "SIGTERM", [f"warning {SIGNAL}"]),
            ({"command": ["gunicorn", "a:b"]}, "SIGTERM", []),
            ({"command": ["gunicorn", "a:b"]}, "SIGHUP", [f"error {SIGNAL}"]),
            ({"command": ["gunicorn", "a:b"]}, "SIGINT", [f"warning {SIGNAL}"]),
            ({"command": ["python", "-m", "granian", "a:b"]}, "SIGINT", []),
            ({"command": ["celery", "-A", "a", "worker"]}, "SIGQUIT", [f"warning {SIGNAL}"]),
            ({"command": ["waitress-serve", "a:b"]}, "SIGTERM", [f"error {SIGNAL}"]),
            ({"command": ["node", "app.js"]}, "SIGHUP", []),
            (WEB, "SIGKILL", [f"warning {SIGNAL}"]),
            (RUN, "SIGKILL", [f"error {SIGNAL}"]),
        )
    ),
    # probe-grace
    *(
        (expected, (pod(made, terminationGracePeriodSeconds=grace),))
        for grace, made, expected in (
            (30, SERVED | probe("readiness", get("/ready", 22222), terminationGracePeriodSeconds=30),
             [f"error {GRACE}"]),
            (30, live(0), [f"error {GRACE}"]),
            (30, live(5), [f"warning {GRACE}"]),
            (30, live(11), []),
            (30, live(5, **env(LIFECYCLE_SETTLE="0", LIFECYCLE_QUIET="0")), []),
            (30, live(5, envFrom=[{}]), []),
            (30, SERVED | probe("startup", get("/startup", 22222), terminationGracePeriodSeconds=5), []),
            (30, SERVED | probe("startup", get("/startup", 22222), terminationGracePeriodSeconds=4),
             [f"warning {GRACE}"]),
            (60, START | WEB | sleep(*SH, "flush; sleep 20")
             | probe("liveness", get("/h"), terminationGracePeriodSeconds=10), [f"warning {GRACE}"]),
            (60, START | WEB | probe("liveness", get("/h"), terminationGracePeriodSeconds=1), []),
            (3600, live(None), [f"warning {GRACE}"]),
            (301, live(None), [f"warning {GRACE}"]),
            (300, live(None), []),
            (1800, START | WEB | probe("liveness", get("/h")), []),
            (3600, live(60), []),
            (3600, START | WEB, []),
        )
    ),
    # front-container
    ([f"error {FRONT}"], (labelled(NGINX, SERVED), service(80))),
    ([f"error {FRONT}"], (labelled(NGINX, SERVED), service("http"))),
    ([f"error {FRONT}"], (labelled(NGINX, SERVED), service(None))),
    ([f"warning {FRONT}"], (labelled({"command": ["/router"]} | HTTP, SERVED | WEB), service(80))),
    ([], (labelled({"command": ["/exporter"]} | HTTP, SERVED), service(80))),
    ([], (labelled(HTTP, FLUSHES), service(80))),
    ([], (labelled(NGINX, FLUSHES), service(80))),
    ([], (labelled(HTTP, {"image": "redis", "ports": [{"containerPort": 6379}]} | FLUSHES),
          service(80))),
    ([], (labelled({"command": ["uvicorn", "a:b"]} | HTTP,
                   {"command": ["celery", "-A", "a", "worker"]} | FLUSHES), service(80))),
    ([f"error {FRONT}"], (labelled({"image": "envoyproxy/envoy:v1.34"} | HTTP, SERVED), service(80))),
    ([f"error {FRONT}"], (labelled(NGINX, {"image": "php:fpm", "ports": [{"containerPort": 9000}]}
                                   | sleep(*SH, "sleep 5; kill -QUIT 1")), service(80))),
    ([f"warning {FRONT}"], (labelled(NGINX, SERVED),)),
    ([f"warning {FRONT}"], (labelled(NGINX, SERVED), service(80, app="another"))),
    ([], (labelled(NGINX, SERVED | WEB), service(8080))),
    ([], (labelled(NGINX | sleep(*SH, "sleep 15; nginx -s quit"), SERVED), service(80))),
    ([], (labelled(NGINX | sleep("sleep", "15"), SERVED), service(80))),
    ([], (labelled(SERVED, initContainers=[NGINX | {"name": "n", "restartPolicy": "Always"}]), service(80))),
    ([], (labelled(SERVED, initContainers=[NGINX | {"name": "n"}]),)),
    ([], (labelled({"image": "nginx/nginx-prometheus-exporter:1"} | HTTP, SERVED),)),
    ([], (labelled({"command": ["/metrics"]} | HTTP, SERVED | WEB), service(8080), service(80))),
    ([], (labelled({"image": "redis:8"} | HTTP, SERVED | WEB),)),
    ([], (labelled({"name": "istio-proxy", "image": "istio/proxyv2"} | HTTP, SERVED),)),
    ([], (labelled({"image": "nginx"}, SERVED),)),
    ([], (labelled(NGINX, {"command": ["/app"]} | WEB),)),
    ([], (labelled(NGINX, NGINX | sleep(*SH, "sleep 15; nginx -s quit")),)),
    ([], (pod(RUN | QOS | PRESTOP),)),
]  # fmt: skip
