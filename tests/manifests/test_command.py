"""`lifecycle manifests` as a command: its output, its files, its sentences."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from lifecycle.links import help_page
from lifecycle.testing.environment import handed_on
from tests.process.kit import cli

ASGI = ["lifecycle", "run", "--asgi", "shop:app"]
BASE = ["--name", "orders", "--image", "registry.example/orders:1"]


def run(*words: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the command."""
    return cli("manifests", *words, env=handed_on() | env, cwd=cwd)


def test_the_command(tmp_path: Path) -> None:
    """It writes to standard output, and warns of a variable that may be misspelt."""
    done = run(*BASE, "-o", "json", "--", *ASGI, cwd=tmp_path, LIFECYCLE_SETLE="1")

    assert done.returncode == 0
    assert json.loads(done.stdout)["kind"] == "List"
    assert done.stderr == (
        "lifecycle: LIFECYCLE_SETLE is not a setting. Did you mean LIFECYCLE_SETTLE?\n"
        f"See {help_page('unknown-setting')}\n"
    )


@pytest.mark.parametrize(
    "name", ["KUBERNETES_ENABLED", "ISTIO_WAIT", "TCP_TARGETS", "HTTP_PORT", "DISK_PATHS"]
)
def test_a_variable_of_our_plugins(name: str, tmp_path: Path) -> None:
    """It is no misspelt setting, also where the plugin is not installed."""
    given = ["--env", f"LIFECYCLE_{name}=false"]

    done = run(*BASE, *given, "-o", "json", "--", *ASGI, cwd=tmp_path)

    assert (done.returncode, done.stderr) == (0, "")
    assert f"LIFECYCLE_{name}" in done.stdout


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([*BASE, "--prestop=sleep", "--", *ASGI], "a preStop sleep starts no drain"),
        ([*BASE, "--prestop=sleep:5", "--", *ASGI], "a preStop sleep starts no drain"),
        ([*BASE, *ASGI], "manifests: error: put -- before the command"),
        ([*BASE, "lifecycle", "run", "--", "gunicorn"], "error: put -- before the command"),
        (BASE, "manifests: error: there is no command: lifecycle manifests [OPTIONS] -- COMMAND"),
        ([*BASE, "--bogus", "--", *ASGI], "unrecognized arguments: --bogus"),
        (["--name", "orders", "--", *ASGI], "--image is missing"),
        ([*BASE, "--"], "the app's command, after --, is missing"),
        ([*BASE, "--", "uvicorn a:b --port 8000"], "--port 8000' is one word with spaces"),
        (
            [*BASE, "--", "lifecycle", "run", "--service", "a:8000", "--", "uvicorn a:b"],
            "the command 'uvicorn a:b' is one word with spaces",
        ),
        ([*BASE, "--replicas", "0", "--", *ASGI], "'0' is not a number from 1 to 10000"),
        (
            [*BASE, "--start-time", "0", "--", *ASGI],
            "'0' is not a number of seconds from 1 to 86400",
        ),
        ([*BASE, "--user", "0", "--", *ASGI], "0 is root"),
        (["--name", "orders", "-o", "kustomize"], "--to DIR is required"),
    ],
)
def test_a_wrong_call(words: list[str], sentence: str, tmp_path: Path) -> None:
    """It is 2 and a sentence."""
    done = run(*words, cwd=tmp_path)

    assert (done.returncode, done.stdout) == (2, "")
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_a_component(tmp_path: Path) -> None:
    """A component is three files; what is merged replaces other handlers and keeps the rest."""
    done = run(
        "--name", "orders", "--service", "orders:8080", "--readiness-gate",
        "-o", "kustomize", "--to", "kit", "--", *ASGI, cwd=tmp_path,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    files = {path.name: path.read_text() for path in (tmp_path / "kit").iterdir()}
    assert sorted(done.stdout.split()) == sorted(f"kit/{name}" for name in files)
    head = yaml.safe_load(files["kustomization.yaml"])
    assert head["kind"] == "Component"
    assert head["resources"] == ["resources.yaml"]
    patch = yaml.safe_load(files["patch.yaml"])
    assert patch["spec"].keys() == {"strategy", "template"}
    app = patch["spec"]["template"]["spec"]["containers"][0]
    assert app.keys() & {"image", "resources"} == set()
    assert app["ports"] == [{"name": "qos", "containerPort": 22222}]
    for part in ("startupProbe", "readinessProbe", "livenessProbe", "lifecycle"):
        assert app[part]["$patch"] == "replace"
    kinds = [each["kind"] for each in yaml.safe_load_all(files["resources.yaml"])]
    assert kinds == ["ServiceAccount", "Role", "RoleBinding", "PodDisruptionBudget"]


@pytest.mark.parametrize("output", ["yaml", "json"])
def test_a_closed_output(output: str, tmp_path: Path) -> None:
    """Where it can write nothing it says so."""
    words = ["manifests", *BASE, "-o", output, "--", *ASGI]

    done = cli(*words, env=handed_on(), cwd=tmp_path, redirected=">&-")

    assert (done.returncode, done.stderr) == (
        1,
        "lifecycle: cannot write the manifests: stdout is closed\n"
        f"See {help_page('errors.md#output-failed')}\n",
    )


@pytest.mark.parametrize(
    "words",
    [
        [*BASE, "--env", "A=\udcff", "--", *ASGI],
        [*BASE, "--", *ASGI, "\udcff"],
        ["--name", "\udcff", "--image", "a", "--", *ASGI],
        ["--name", "orders", "--image", "\udcff", "--", *ASGI],
        ["--name", "orders", "-o", "kustomize", "--to", "\udcff"],
    ],
)
def test_bytes_that_are_no_text(words: list[str], tmp_path: Path) -> None:
    """A manifest is text: bytes that are none are refused, wherever they stand."""
    done = run(*words, cwd=tmp_path)

    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
