"""The file of `gunicorn -c`: what is read of it, and where it is looked for."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.checks.commands.gunicorn_config import settings_of
from tests.checks.kit import look

MANIFEST = """
apiVersion: v1
kind: Pod
metadata: {name: shop}
spec:
  containers:
  - name: web
    image: registry.example/shop:1
    command: [gunicorn, -c, %s, 'shop:app']
    readinessProbe: {httpGet: {path: /ready, port: 22222}}
    lifecycle: {preStop: {exec: {command: [lifecycle, prestop]}}}
"""


@pytest.mark.parametrize(
    ("manifest", "config", "named", "found"),
    [
        ("shop.yaml", "gunicorn.conf.py", "gunicorn.conf.py", True),
        ("shop.yaml", "gunicorn.conf.py", "/app/gunicorn.conf.py", True),
        ("k8s/prod/shop.yaml", "conf/g.py", "/srv/app/conf/g.py", True),
        ("k8s/prod/shop.yaml", "conf/g.py", "file:conf/g.py", True),
        ("k8s/prod/shop.yaml", "g.py", "/app/../etc/g.py", True),
        ("shop.yaml", "conf/g.py", "g.py", False),
        ("shop.yaml", "g.py", "python:g", False),
        ("a/b/c/d/shop.yaml", "g.py", "g.py", False),
    ],
)
def test_a_file_near_the_manifest_is_read(
    manifest: str, config: str, named: str, found: bool, tmp_path: Path
) -> None:
    """Each end of its path is looked for beside the manifest and above it, but not far."""
    for name, text in ((manifest, MANIFEST % named), (config, "workers = 4\n")):
        path = tmp_path / "repository" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    said = look(str(tmp_path / "repository" / manifest))

    assert ("error managed-workers" in said.findings) is found
    assert said.unreadable == []


def test_what_is_above_a_repository_is_not_its_own(tmp_path: Path) -> None:
    """The folder that has .git is the last one that is looked into."""
    (tmp_path / "g.py").write_text("workers = 4\n")
    (tmp_path / "shop" / ".git").mkdir(parents=True)
    (tmp_path / "shop" / "pod.yaml").write_text(MANIFEST % "g.py")

    assert look(str(tmp_path / "shop" / "pod.yaml")).findings == []


@pytest.mark.parametrize(
    "bind", ["'0.0.0.0:8000'", "['0.0.0.0:8000', '[::]:8000']", "f'0.0.0.0:{port}'"]
)
def test_where_it_binds(bind: str, tmp_path: Path) -> None:
    """A server under `lifecycle run --` whose file binds another port is found."""
    command = f"lifecycle, run, --service, 'shop:80', --, gunicorn, -c, {tmp_path}/g.py"
    (tmp_path / "g.py").write_text(f"port = 8000\nbind = {bind}\n")
    text = MANIFEST.replace("gunicorn, -c, %s", command)
    (tmp_path / "pod.yaml").write_text(text)

    assert look(str(tmp_path / "pod.yaml")).findings == ["error service-port"]


@pytest.mark.parametrize("text", ["(" * 100_000, "x = " + "-" * 90_000 + "1", "\0", "x = 1" * 9])
def test_a_file_that_is_no_python(text: str) -> None:
    """Nothing is known of it, and nothing else is harmed."""
    assert settings_of(text, lambda _: None) == {}


EXPRESSIONS = st.recursive(
    st.sampled_from(["1", "'a'", "None", "x", "os.environ['A']", "cpu_count()", "[]", "1.5"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "//", "**", "or"]), inner).map(" ".join),
        inner.map("int({})".format),
        inner.map("os.getenv({})".format),
        inner.map("min({})".format),
        st.lists(inner).map(lambda parts: f"[{', '.join(parts)}]"),
    ),
    max_leaves=12,
)


@given(EXPRESSIONS, EXPRESSIONS)
def test_whatever_is_assigned(first: str, second: str) -> None:
    """It is a text, or it is left out; nothing of the file is run."""
    found = settings_of(f"x = {first}\nworkers = {second}\n", {"A": "2"}.get)

    assert all(isinstance(each, str) for each in found.values())
    assert set(found) <= {"x", "workers"}
