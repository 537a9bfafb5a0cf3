"""The files to copy of examples/kubernetes: what they say is what the project's own commands say."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from lifecycle.config import Config
from lifecycle.testing.environment import handed_on
from tests.process.kit import cli

FILES = Path(__file__).parents[2] / "examples" / "kubernetes"
WRITTEN = ("fastapi", "django", "grpc", "worker", "job")
MANIFESTS = (*WRITTEN, "cronjob", "patch")
HANDLERS = {"exec", "grpc", "httpGet", "sleep", "tcpSocket"}

Object = dict[str, Any]


def objects(text: str) -> list[Object]:
    """Return the objects of a manifest."""
    return [each for each in yaml.safe_load_all(text) if each]


def read(name: str) -> list[Object]:
    """Return the objects of a file."""
    return objects((FILES / f"{name}.yaml").read_text())


def pod(name: str) -> Object:
    """Return the spec of the pod in a file."""
    (spec,) = (each["spec"] for each in read(name) if "template" in each.get("spec", {}))
    return dict(spec["template"]["spec"])


def container(name: str) -> Object:
    """Return the container in a file."""
    (only,) = pod(name)["containers"]
    return dict(only)


def kept(patch: Mapping[str, Any]) -> Object:
    """Return what a part of a patch sets, without what it removes of another handler."""
    return {key: value for key, value in patch.items() if value is not None}


@pytest.mark.parametrize("name", WRITTEN)
def test_the_command_at_the_top_writes_the_same_manifest(name: str) -> None:
    """Comments apart, the file is what `lifecycle manifests` writes by the command in its head."""
    text = (FILES / f"{name}.yaml").read_text()
    (command,) = re.findall(r"^#   lifecycle ((?:.*\\\n#)*.*)$", text, re.MULTILINE)
    argv = shlex.split(command.replace("\\\n#", ""))

    done = cli(*argv, env=handed_on())

    assert done.returncode == 0, done.stderr
    assert objects(text) == objects(done.stdout)


def test_the_cronjob_starts_the_job() -> None:
    """Of the two files, the ServiceAccount and the spec of the Job are the same."""
    (account, job), (same, cronjob) = read("job"), read("cronjob")

    assert account == same
    assert cronjob["spec"]["jobTemplate"]["spec"] == job["spec"]
    assert cronjob["metadata"] == job["metadata"]


def test_the_patch_brings_what_the_whole_manifest_has() -> None:
    """Command, probes, preStop and grace period are those of the FastAPI file."""
    whole, part = container("fastapi"), container("patch")

    for field in ("startupProbe", "readinessProbe", "livenessProbe"):
        asked = {"httpGet": {**whole[field]["httpGet"], "scheme": "HTTP"}}
        assert kept(part[field]) == whole[field] | asked | {"initialDelaySeconds": 0}
    assert kept(part["lifecycle"]["preStop"]) == whole["lifecycle"]["preStop"]
    assert part["command"] == whole["command"]
    assert part["args"] is None
    assert part["ports"] == [port for port in whole["ports"] if port["name"] == "qos"]
    for field in ("name", "terminationGracePeriodSeconds"):
        assert (pod("patch") | part)[field] == (pod("fastapi") | whole)[field]


def test_the_patch_removes_each_other_handler() -> None:
    """A probe and a preStop have one handler: all but ours are null. No directive is there."""
    part = container("patch")

    for field in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert HANDLERS - {"sleep"} == {*part[field]} & HANDLERS
    assert HANDLERS - {"grpc"} == {*part["lifecycle"]["preStop"]}
    assert "$patch" not in json.dumps(part)  # kubectl drops ours with it where there was nothing


def test_the_values_of_helm_are_those_of_the_whole_manifest() -> None:
    """Every field that the values set is as in the FastAPI file."""
    values = yaml.safe_load((FILES / "helm" / "values.yaml").read_text())
    whole = container("fastapi")

    for field in ("startupProbe", "readinessProbe", "livenessProbe", "lifecycle", "command"):
        assert values[field] == whole[field]
    for field in ("resources", "securityContext", "volumeMounts"):
        assert values[field] == whole[field]
    assert [each for each in whole["env"] if "value" in each] == values["env"]
    assert values["podSecurityContext"] == pod("fastapi")["securityContext"]
    for field in ("volumes", "terminationGracePeriodSeconds"):
        assert values[field] == pod("fastapi")[field]
    assert "{repository}:{tag}".format(**values["image"]) == whole["image"]


@pytest.mark.parametrize("name", [*MANIFESTS, ""])
def test_check_finds_nothing(name: str) -> None:
    """`lifecycle check` has no finding in a file, nor in the folder, which has more than pods."""
    done = cli("check", str(FILES / f"{name}.yaml" if name else FILES), env=handed_on())

    assert done.returncode == 0, done.stdout
    note = "" if name else "3 files hold no workload \\(1 chart file\\)\n"
    assert re.fullmatch(rf"nothing found in .*\n{note}", done.stdout), done.stdout
    assert not done.stderr


def test_the_dockerfile_starts_lifecycle_as_the_first_process() -> None:
    """Its command is that of the FastAPI file, as a list; a user without a name runs it."""
    lines = (FILES / "Dockerfile").read_text().splitlines()
    steps = dict(line.split(" ", 1) for line in lines if line and not line.startswith("#"))

    assert json.loads(steps["CMD"]) == container("fastapi")["command"]
    assert int(steps["USER"]) == pod("fastapi")["securityContext"]["runAsUser"]
    assert not {"ENTRYPOINT", "SHELL", "STOPSIGNAL"} & set(steps)


@pytest.mark.parametrize(("name", "what"), [("fastapi", "request"), ("worker", "message")])
def test_the_time_to_finish_is_that_of_the_budget(name: str, what: str) -> None:
    """The comment on the grace period says how long a request, or a worker's message, may take."""
    text = (FILES / f"{name}.yaml").read_text()
    config = Config()
    served = config.stop_timeout if what == "request" else 0

    (grace, said) = re.findall(rf"Seconds: (\d+) # a {what} has (\d+) s to finish", text)[0]

    assert int(grace) == config.grace_period
    assert int(said) == config.grace_period - served - 2
