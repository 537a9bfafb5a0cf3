"""Servers without `lifecycle run --`: the source of an app near its manifest, and what is advised."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.checks.kit import PRESTOP, QOS, found, look, pod

MANIFEST = """
apiVersion: v1
kind: Pod
metadata: {name: shop}
spec:
  containers:
  - name: web
    image: registry.example/shop:1
    command: [%s]
    readinessProbe: {httpGet: {path: /ready, port: 22222}}
    lifecycle: {preStop: {exec: {command: [lifecycle, prestop]}}}
"""
PLAIN = "from fastapi import FastAPI\n\napp = FastAPI(title='shop')\n"
MANAGED = (
    PLAIN + "from lifecycle.asgi import Managed\napp.add_middleware(Managed, service='shop')\n"
)
UVICORN = "uvicorn, 'shop.main:app'"


@pytest.mark.parametrize(
    ("command", "name", "source", "expected"),
    [
        (UVICORN, "shop/main.py", PLAIN, True),
        (UVICORN, "src/shop/main.py", PLAIN, True),
        (UVICORN, "deploy/shop/main.py", PLAIN, True),
        ("hypercorn, 'shop.asgi:application'", "shop/asgi.py",
         "import django.core.asgi as a\napplication = a.get_asgi_application()\n", True),
        ("gunicorn, -k, uvicorn_worker.UvicornWorker, 'shop.main:make()'", "shop/main.py",
         "def make():\n    return Starlette(routes=[])\n", True),
        ("fastapi, run, ./shop/main.py", "shop/main.py", PLAIN, True),
        ("sh, -c, exec uvicorn shop.main:app", "shop/main.py", PLAIN, True),
        ("granian, --interface, asgi, 'shop.main:app'", "shop/main.py", PLAIN, True),
        # the app has it, or may have it
        (UVICORN, "shop/main.py", MANAGED, False),
        (UVICORN, "shop/main.py", "import lifecycle\n" + PLAIN, False),
        (UVICORN, "shop/main.py", "from shop.factory import make\n\napp = make()\n", False),
        (UVICORN, "main.py", PLAIN, False),
        (UVICORN, "other/shop/main.py", PLAIN, False),
        ("uvicorn, --app-dir, backend, 'shop.main:app'", "shop/main.py", PLAIN, False),
        ("gunicorn, 'shop.main:app'", "shop/main.py", MANAGED, False),
        ("gunicorn, shop.wsgi", "shop/wsgi.py", "import lifecycle\n", False),
        ("uvicorn, $APP", "shop/main.py", PLAIN, False),
        ("fastapi, run", "main.py", PLAIN, False),
        ("uvicorn, 'shop.main:app', --host, 'localhost:8000'", "localhost.py", PLAIN, False),
    ],
)  # fmt: skip
def test_the_source_of_an_app(
    command: str, name: str, source: str, expected: bool, tmp_path: Path
) -> None:
    """A server whose app is made without pod-lifecycle is a warning; any doubt is none."""
    for file, text in (("deploy/pod.yaml", MANIFEST % command), (name, source)):
        path = tmp_path / "repository" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    findings = look(str(tmp_path / "repository" / "deploy" / "pod.yaml")).findings

    assert findings == (["warning not-wrapped"] if expected else [])


def test_a_configuration_of_gunicorn_beside_the_manifest(tmp_path: Path) -> None:
    """gunicorn reads `gunicorn.conf.py` without being told to, so its worker is not known."""
    (tmp_path / "pod.yaml").write_text(MANIFEST % "gunicorn, 'shop:app'")
    assert look(str(tmp_path / "pod.yaml")).findings == ["warning not-wrapped"]

    (tmp_path / "gunicorn.conf.py").write_text("worker_class = 'uvicorn_worker.UvicornWorker'\n")
    assert look(str(tmp_path / "pod.yaml")).findings == []


@pytest.mark.parametrize(
    ("container", "message", "fix"),
    [
        ({"command": ["celery", "-A", "shop", "worker"]}, "celery runs without lifecycle run, but "
         "the probes use the QOS port 22222", "`lifecycle run --` in front"),
        ({"command": ["gunicorn", "-b", "0.0.0.0:8000", "shop.wsgi"]}, "gunicorn runs without "
         "lifecycle run, but the probes", "`lifecycle run --service c0:8000 --` in front"),
        ({"command": ["waitress-serve", "shop:app"]}, "waitress-serve runs", "--service c0:8080 --`"),
        ({"command": ["gunicorn", "shop.wsgi"], "ports": [{"containerPort": 80}, {"containerPort": 22222}]},
         "gunicorn runs", "--service c0:80 --`"),
        ({"command": ["gunicorn", "shop.wsgi"]}, "gunicorn runs", "--service c0:PORT --`"),
        ({"command": ["gunicorn", "shop.wsgi"], "ports": [{"containerPort": 80}, {"containerPort": 81}]},
         "gunicorn runs", "--service c0:PORT --`"),
        ({"args": ["rq", "worker"]}, "rq runs", "If the ENTRYPOINT of the image is `lifecycle run --`"),
        ({"command": ["gunicorn", "shop:app"]}, "its default worker is sync, which cannot run Managed",
         "If your app uses `Managed`, ignore this."),
        ({"command": ["granian", "shop:app"]}, "its default interface is rsgi, which cannot run Managed",
         "If your app uses `Managed`, ignore this."),
        ({"command": ["sanic", "shop:app"]}, "sanic runs without lifecycle run, but the probes",
         "If your app starts `Lifecycle` itself, ignore this."),
    ],
)  # fmt: skip
def test_what_is_advised(container: dict[str, Any], message: str, fix: str) -> None:
    """The fix has the port of the server, and says when there is nothing to fix."""
    (finding,) = found(pod(QOS | PRESTOP | container))

    assert message in finding.message
    assert fix in finding.fix
    assert ("ignore this" in finding.fix) is (finding.severity == "warning")


def test_only_a_hook_needs_it() -> None:
    """Without probes, the message is about preStop."""
    (finding,) = found(pod(PRESTOP | {"command": ["celery", "-A", "shop", "worker"]}))

    assert finding.message == "c0: celery runs without lifecycle run, but preStop needs it"
