"""Folders as arguments: what is read in them, and which exit code that gives."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lifecycle.checks.reading import folders
from lifecycle.checks.reading.folders import files
from lifecycle.checks.reading.not_manifests import Foreign
from lifecycle.cli.check import run as check
from tests.checks.styles import NGINX
from tests.checks.test_command import BAD

Check = Callable[..., tuple[int, dict[str, Any]]]
EMPTY = "apiVersion: v1\nitems: []\nkind: List\n"
SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n"
COMPOSE = "services: {web: {image: web}}\n"
BROKEN = "apiVersion: v1\nkind: Pod\nmetadata: {name: [\n"
RAY = (Path(__file__).parent / "shapes/duplicate_keys/in-several-templates.yaml").read_text()
TEMPLATE = "apiVersion: v1\nkind: Pod\nmetadata: {name: {{ .Release.Name }}-a}\n"


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Check:
    """Run the command in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(
        *names: str, allow_nothing: bool = False, exclude: str = ""
    ) -> tuple[int, dict[str, Any]]:
        options = argparse.Namespace(
            files=list(names), format="json", allow_nothing=allow_nothing, exclude=exclude.split()
        )
        code = check(options)
        return code, json.loads(capsys.readouterr().out)

    return run


def walked(*names: str) -> list[str]:
    return [each.file for each in files(names)]


def make(*names: str, text: str = NGINX) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text)


def test_what_is_walked(run: Check) -> None:
    """Manifests are read wherever they are, but not what is hidden, installed or made by programs."""
    make("a.yaml", "x/b.yml", "x/y/c.json", "x/d.txt", "e.yaml.bak", ".f.yaml", ".git/g.yaml")
    make("node_modules/h.yaml", "x/node_modules/i.json", "env/j.yaml", "env/pyvenv.cfg")
    make("tox/k.yaml", "tox/CACHEDIR.TAG")

    assert walked(".") == ["a.yaml", "x/b.yml", "x/y/c.json"]
    assert walked("x/", "a.yaml") == ["x/b.yml", "x/y/c.json", "a.yaml"]
    assert walked(".git") == [".git/g.yaml"]


def test_links(run: Check) -> None:
    """A loop of links ends, what two names lead to is read once, and a dead link is nothing."""
    make("x/a.yaml")
    os.symlink("..", "x/loop")
    os.symlink("a.yaml", "x/b.yaml")
    os.symlink("nowhere", "x/dead.yaml")

    assert walked(".", "x", "x/a.yaml") == ["x/a.yaml"]


def test_a_link_before_its_file(run: Check) -> None:
    """A file is named by its own path, even if a link to it comes first in the alphabet."""
    make("z/a.yaml")
    os.symlink("z/a.yaml", "b.yaml")

    assert walked(".") == ["z/a.yaml"]


@pytest.mark.parametrize(
    ("exclude", "code"),
    [
        ("", 2),
        ("test/data/bad.yaml", 0),
        ("./test/data/bad.yaml", 0),
        ("test/data", 0),
        ("test/", 0),
        ("*/data", 0),
        ("*/bad.*", 0),
        ("nothing t*", 0),
        ("data", 2),
        ("*/DATA", 2),
    ],
)
def test_what_is_excluded(run: Check, exclude: str, code: int) -> None:
    """A pattern leaves out files and folders, and a note beside a broken file names the option."""
    make("good.yaml")
    make("test/data/bad.yaml", text=BROKEN)

    result, said = run(".", exclude=exclude)
    hint = "to ignore a file, use --exclude PATTERN, for example --exclude test/data/bad.yaml"
    assert (result, said["notes"]) == (code, {".": [hint]} if code else {})
    assert run("test/data/bad.yaml", "good.yaml", exclude=exclude)[0] == code


def test_a_pipe_in_a_folder(run: Check) -> None:
    """What would wait for a writer is not opened."""
    os.mkfifo("a.yaml")

    assert walked(".") == []


def test_a_folder_that_may_not_be_read(run: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is unreadable, and the others are checked."""
    make("a/a.yaml", text=BAD)
    make("b/b.yaml")
    scandir = os.scandir

    def refused(folder: str) -> Any:
        if str(folder).endswith("b"):
            raise PermissionError(13, "Permission denied", folder)
        return scandir(folder)

    monkeypatch.setattr(folders.os, "scandir", refused)
    code, said = run(".")

    assert (code, said["unreadable"]) == (2, {"./b": ["Permission denied"]})
    assert {each["file"] for each in said["findings"]} == {"a/a.yaml"}


@pytest.mark.parametrize(
    ("held", "code", "hook"),
    [
        ({"a.yaml": NGINX, "b.yaml": SERVICE, "c.yml": COMPOSE}, 0, 0),
        ({"a.yaml": BAD, "b.yaml": SERVICE}, 1, 1),
        ({"a.yaml": BAD, "b.yaml": BROKEN}, 2, 2),
        ({"a.yaml": SERVICE}, 0, 0),
        ({"a.yaml": EMPTY}, 0, 0),
        ({"a.yaml": COMPOSE}, 2, 0),
        ({"a.yaml": TEMPLATE}, 2, 0),
        ({"a.yaml": ""}, 2, 0),
        ({"a.txt": NGINX}, 2, 0),
        ({}, 2, 0),
        ({"a.yaml": "kind: [\n", "b.yaml": SERVICE}, 0, 0),
        ({"a.yaml": "- just: [\n"}, 2, 0),
    ],
)
def test_exit_codes_of_a_folder(run: Check, held: dict[str, str], code: int, hook: int) -> None:
    """2 is for what cannot be read, and for nothing at all; to a hook nothing is fine."""
    for name, text in held.items():
        make(name, text=text)

    assert run(".")[0] == code
    assert run(".", allow_nothing=True)[0] == hook


@pytest.mark.parametrize(
    ("name", "text", "note"),
    [
        ("a.yaml", SERVICE, ""),
        ("a.yaml", EMPTY, ""),
        ("compose.yaml", COMPOSE, "this Compose file is not checked"),
        ("jobs.yaml", "jobs:\n- name: nightly\n", "this file is not checked ("),
        ("ci.yaml", "jobs:\n- job: a\n  pool: b\n", "this CI workflow is not checked"),
        ("api.yaml", "openapi: 3.0.0\nservices: {x: 1}\n", "this file is not checked ("),
        ("values.yml", "#@data/values\n---\nreplicas: 3\n", "this file is not checked ("),
        ("w.yml", "on: [push]\njobs: {}\n", "this CI workflow is not checked"),
        ("kustomization.yaml", "resources: [a.yaml]\n", "this kustomization is not checked. Build"),
        ("k/kustomization.yml", "kind: Component\napiVersion: kustomize.config.k8s.io/v1alpha1\n",
         "this kustomization is not checked. Build"),
        ("values.yaml", "replicas: 2\n", "this file of a Helm chart is not checked"),
        ("t.yaml", TEMPLATE, "this template is not checked. Render the template"),
        ("p.yaml", "- {op: add, path: /spec/replicas, value: 3}\n", "this JSON patch is not checked"),
        ("package.json", '{"name": "a"}', "this file is not checked ($: not a Kubernetes object"),
        ("tsconfig.json", '{"a": "b" // no\n}', "this file is not checked (line 1: not valid YAML"),
        ("e.yaml", "# all of it\n", "this file is not checked (the file is empty)"),
        ("e.yaml", "", "this file is empty"),
    ],
)  # fmt: skip
def test_a_named_file_without_a_workload(run: Check, name: str, text: str, note: str) -> None:
    """It is a note beside what is checked, and no failure of a hook that names it alone."""
    make(name, text=text)
    make("good.yaml")
    code, said = run("good.yaml", name)
    assert (code, said["unreadable"], said["files_without_workload"]) == (0, {}, 1)
    assert [each[: len(note)] for each in said["notes"].get(name, [])] == [note] * bool(note)

    code, said = run(name, allow_nothing=True)
    assert (code, said["unreadable"]) == (0, {})
    nothing = [f"nothing to check: {note}"] * bool(note)
    assert [each[: len(nothing[0])] for each in said["notes"].get(name, [])] == nothing


def test_nothing_to_check(run: Check) -> None:
    """If there was nothing at all, it is said what was there."""
    make("a.yaml", "b.yaml", text=COMPOSE)
    make("c/values.yaml", text="a: b")

    nothing = "nothing to check: only 2 Compose files, 1 chart file"
    assert run(".")[1]["unreadable"] == {".": [nothing]}
    assert run(".", allow_nothing=True)[1]["notes"] == {".": [nothing]}
    os.mkdir("empty")
    nothing = (
        "nothing to check: no *.yaml, *.yml or *.json file was found in this folder and its "
        "subfolders"
    )
    assert run("empty")[1]["unreadable"] == {"empty": [nothing]}


@pytest.mark.parametrize(
    "names",
    [(), (".github/workflows/a.yml",), ("compose.yaml",), ("compose.yaml", "x/compose.yml")],
)
def test_how_many_hold_no_workload(run: Check, names: tuple[str, ...]) -> None:
    """A folder without anything to check has exactly the files that were read."""
    make(*names, text=COMPOSE)

    read = [each for each in names if not each.startswith(".")]
    assert run(".")[1]["files_without_workload"] == len(read)


def test_many_files_of_one_kind() -> None:
    """A large number has a separator of thousands."""
    assert Foreign.OTHER.counted(1200) == "1,200 other files"


def test_a_patch_that_a_kustomization_names(run: Check) -> None:
    """What is a patch by its kustomization is one whatever its shape, and a resource never is."""
    patched = BAD.replace('sh, -c, "lifecycle run a:b | tee log"', "app")
    make("base/patches/pod.yaml", text=patched)
    make("base/pod.yaml", text=patched.replace("image: registry.example/c:1", "stdin: true"))
    make("base/kustomization.yaml", text="resources: [pod.yaml]\npatches: [path: patches/pod.yaml]")
    code, said = run("base/patches/pod.yaml")
    assert (code, said["findings"], said["partial_documents"]) == (0, [], 1)

    code, said = run("base/pod.yaml")
    assert (said["workloads"], said["partial_documents"]) == (1, 0)
    assert [each["rule"] for each in said["findings"]] == ["startup-probe"]


def test_a_patch_that_is_met_before_its_kustomization(run: Check) -> None:
    """What a kustomization says of a file holds whichever of the two is read first."""
    make("parts/a/pod.yaml", text=BAD)
    make("x/kustomization.yaml", text="patches: [path: ../parts/a/pod.yaml]")

    assert run(".")[1]["partial_documents"] == 1


def test_a_kustomization_that_names_no_file(run: Check) -> None:
    """A name that no file can have is no failure."""
    make("a.yaml")
    make("kustomization.yaml", text='resources: ["a\\0b"]')

    assert run(".")[0] == 0


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("prod/kustomization.yaml", "replicas: [{name: a, count: 4}]\nresources: [../base]"),
        ("prod/kustomization.yaml", "patches:\n- target: {kind: Deployment, name: a}\n  patch: |-\n    - {op: replace, path: /spec/replicas, value: 4}\n"),
        ("prod/kustomization.yaml", "patches:\n- patch: |-\n    kind: Deployment\n    metadata: {name: a}\n    spec: {replicas: 4}\n"),
        ("prod/kustomization.yaml", "patchesJson6902:\n- target: {name: a}\n  patch: '[{op: add, path: /spec/replicas, value: 4}]'\n- {path: 1}\n- a\n"),
        ("prod/replicas.yaml", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {replicas: 4}"),
    ],
)  # fmt: skip
def test_replicas_that_an_overlay_gives(run: Check, name: str, text: str) -> None:
    """Of how many pods a rolling update takes one, the overlays say, too."""
    spec = "  replicas: 1\n  strategy: {rollingUpdate: {maxUnavailable: 1}}"
    base = NGINX.replace("nginx-deployment", "a").replace("  replicas: 3", spec)
    make("base/deployment.yaml", text=base)
    assert [each["rule"] for each in run(".")[1]["findings"]] == ["one-replica", "max-unavailable"]

    make(name, text=text)
    code, said = run(".")
    assert (code, said["findings"]) == (0, [])


def test_replicas_that_a_file_of_a_json_patch_gives(run: Check) -> None:
    """The kustomization says whose replicas they are."""
    make("base/a.yaml", text=NGINX.replace("replicas: 3", "replicas: 1"))
    make(
        "prod/kustomization.yaml",
        text="patches: [{target: {name: nginx-deployment}, path: r.json}]",
    )
    make("prod/r.json", text='[{"op": "replace", "path": "/spec/replicas", "value": %s}]')
    assert [each["rule"] for each in run(".")[1]["findings"]] == ["one-replica"]

    make("prod/r.json", text='[{"op": "replace", "path": "/spec/replicas", "value": 4}]')
    assert run(".")[1]["findings"] == []


@pytest.mark.parametrize(
    ("data", "code"),
    [(b"\x80{}", 0), (b"\x80 apiVersion: v1\nkind: Pod", 2), ("kind: a\napiVersion: b".encode("utf-16"), 2)],
)  # fmt: skip
def test_what_is_no_text(run: Check, data: bytes, code: int) -> None:
    """In a folder it is a failure if it should be a manifest."""
    make("good.yaml")
    Path("a.yaml").write_bytes(data)

    assert run(".")[0] == code


def test_lines_of_json(run: Check) -> None:
    """JSON that is written for people has lines, and what a program wrote in one line has none."""
    made = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {"containers": [
        {"name": "a", "image": "a", "livenessProbe": {"httpGet": {"port": 1}}}
    ]}}  # fmt: skip
    make("a.json", text=json.dumps(made, indent=2))
    make("b.json", text=json.dumps(made))

    lines = [(each["file"], each["line"]) for each in run(".")[1]["findings"]]
    assert lines == [("a.json", 12), ("b.json", None)]


def test_a_key_that_json_repeats(run: Check) -> None:
    """A program may read JSON in one line without lines, but a key that is there twice is found."""
    make("a.json", text='{"kind": "ConfigMap", "apiVersion": "v1", "data": {"a": "1", "a": "\\t"}}')

    code, said = run("a.json")
    assert (code, [(each["rule"], each["line"]) for each in said["findings"]]) == (
        1, [("duplicate-key", 1)]
    )  # fmt: skip


def test_an_object_with_several_templates(run: Check) -> None:
    """A cluster of Ray's has two pod templates here, and is one workload."""
    make("a.yaml", text=RAY)

    code, said = run("a.yaml")
    assert (code, said["workloads"], len(said["findings"])) == (1, 1, 1)
