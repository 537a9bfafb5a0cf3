"""The files of examples/kubernetes, and the image that their Dockerfile makes of apps of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from tests.cluster.cluster import Cluster
from tests.cluster.dockerfile import built

EXAMPLES: Final = Path(__file__).parents[2] / "examples"
FILES: Final = EXAMPLES / "kubernetes"
SERVED: Final = Path(__file__).parents[1] / "hosts" / "served"
FRAMEWORKS: Final = ("django", "fastapi", "gunicorn", "redis", "uvicorn")
REQUIREMENTS: Final = ("pod-lifecycle", "lifecycle-grpc", *FRAMEWORKS)
NAMES: Final = ("orders", "shop", "worker", "report")
"""The names in the files: of apps and of their images, which are one image here."""


def load_image(cluster: Cluster) -> None:
    """Build the image, and give it to a cluster under the names in the files."""
    archive, name = built(FILES / "Dockerfile", _context(), FRAMEWORKS)
    images = ("ctr", "--namespace=k8s.io", "images")
    cluster.machine.run(*images, "import", str(archive))
    for app in NAMES:
        cluster.machine.run(*images, "tag", "--force", name, f"registry.example/{app}:1.0")


def _context() -> dict[str, bytes]:
    """Return what lies beside the Dockerfile: an app for each command of the files."""
    files = {
        "main.py": SERVED / "fastapi_shop.py",
        "server.py": EXAMPLES / "grpc_app.py",
        "worker.py": EXAMPLES / "redis_worker.py",
        "report.py": EXAMPLES / "batch_job.py",
        **{name: SERVED / name for name in ("django_shop.py", "wsgi_shop.py", "shop.py")},
    }
    return {
        "requirements.txt": "\n".join(REQUIREMENTS).encode(),
        "mysite/wsgi.py": b"from django_shop import app as application\n",
        **{place: path.read_bytes() for place, path in files.items()},
    }


def pod(image: str) -> dict[str, Any]:
    """Return a pod without a command: it runs that of its image."""
    probe = {"httpGet": {"path": "/ready", "port": 22222}, "periodSeconds": 1}
    container = {"name": "app", "image": image, "readinessProbe": probe}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "orders"},
        "spec": {"containers": [container]},
    }


def theirs(image: str) -> dict[str, Any]:
    """Return a Deployment and its Service that know nothing of us, with probes and a sleep."""
    labels = {"app": "orders"}
    container = {
        "name": "orders",
        "image": image,
        "command": ["uvicorn"],
        "args": ["main:app", "--host", "0.0.0.0", "--port", "8080"],
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": {"tcpSocket": {"port": "http"}, "periodSeconds": 1},
        "livenessProbe": {"httpGet": {"path": "/health", "port": "http"}},
        "lifecycle": {"preStop": {"sleep": {"seconds": 1}}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    context = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "orders"},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [container], "securityContext": context},
            },
        },
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "orders"},
        "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": "http"}]},
    }
    return {"apiVersion": "v1", "kind": "List", "items": [deployment, service]}
