"""The Deployments that are rolled over: `lifecycle manifests`' own, and what people write without."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, Final

from tests.e2e.generated import written
from tests.e2e.kit import Space
from tests.e2e.manifests import PORT

NAME: Final = "shop"
SERVED: Final = Path(__file__).parents[1] / "hosts" / "served"
APP_DIR: Final = ("--app-dir", "/app")
RUN: Final = (
    *("lifecycle", "run", *APP_DIR, "--asgi", "shop:app"),
    *("--bind", f"0.0.0.0:{PORT}", "--service", NAME),
)
UVICORN: Final = (
    *("python3", "-m", "uvicorn", *APP_DIR, "shop:app", "--host", "0.0.0.0"),
    *("--port", str(PORT), "--log-level", "warning"),
)
WRAPPED: Final = ("lifecycle", "run", "--service", f"{NAME}:{PORT}", "--")
GUNICORN: Final = (
    *("python3", "-m", "gunicorn", "--chdir", "/app", "django_shop:app"),
    *("--workers", "2", "--threads", "16", "--bind", f"0.0.0.0:{PORT}"),
    *("--log-level", "warning", "--no-control-socket"),
)
SLEEP: Final = {"preStop": {"sleep": {"seconds": 5}}}

Manifests = list[dict[str, Any]]


def generated(image: str, *options: str, command: Sequence[str] = RUN) -> Manifests:
    """Return what `lifecycle manifests` writes; added is where the app's files are."""
    told = written("--image", image, *options, "-o", "json", name=NAME, command=command)
    made: Manifests = json.loads(told)["items"]
    pod = deployment(made)["spec"]["template"]["spec"]
    pod["volumes"].append({"name": "app", "configMap": {"name": NAME}})
    pod["containers"][0]["volumeMounts"].append({"name": "app", "mountPath": "/app"})
    return made


def without(made: Manifests, hooks: Mapping[str, Any] | None = None) -> Manifests:
    """Return the same Deployment and Service for uvicorn alone, probed on its own port."""
    kept = deepcopy([each for each in made if each["kind"] in ("Deployment", "Service")])
    pod = deployment(kept)["spec"]["template"]["spec"]
    for part in ("readinessGates", "serviceAccountName"):
        del pod[part]
    (app,) = pod["containers"]
    app |= {"command": list(UVICORN), "env": [], "lifecycle": dict(hooks or {})}
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        app[probe]["httpGet"] = {"path": "/", "port": PORT}
    return kept


def deployment(made: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the Deployment among the manifests."""
    (found,) = (each for each in made if each["kind"] == "Deployment")
    return found


def create(space: Space, made: Manifests) -> None:
    """Put the app's files and its manifests into a namespace."""
    space.files(NAME, *(SERVED / name for name in ("shop.py", "wsgi_shop.py", "django_shop.py")))
    for each in made:
        space.create(each)
