"""The GitHub workflows run nothing that is not pinned, and may do as little as they need."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.docs.pages import ROOT
from tests.release.versions import distributions, pyproject
from tests.suite.needs import NEEDS

ON_THE_RUNNER = {"chromium"}
"""What GitHub's image of Ubuntu has already, and Ubuntu's archive has as a snap only."""
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
USES = re.compile(r"uses: (?P<action>[\w./-]+)(?:@(?P<ref>\S+))?(?: # (?P<version>v[\d.]+))?")


def _load(path: Path) -> dict[str, Any]:
    return dict(yaml.safe_load(path.read_text(encoding="utf-8")))


def _used() -> list[re.Match[str]]:
    return [each for path in WORKFLOWS for each in USES.finditer(path.read_text(encoding="utf-8"))]


def _jobs() -> dict[str, dict[str, Any]]:
    return {
        f"{path.stem}.{name}": job
        for path in WORKFLOWS
        for name, job in _load(path)["jobs"].items()
    }


def test_each_action_is_pinned_to_a_commit() -> None:
    """A tag can be moved to other code; the comment says which version the commit is."""
    strange = [each for each in _used() if not each["action"].startswith("./")]

    assert strange
    assert all(re.fullmatch(r"[0-9a-f]{40}", each["ref"]) for each in strange)
    assert all(each["version"] for each in strange)


def test_an_action_is_pinned_once() -> None:
    """Every workflow uses the same commit of it."""
    pins = {(each["action"], each["ref"], each["version"]) for each in _used()}

    assert len(pins) == len({each["action"] for each in _used()})


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_may_do_nothing_but_what_its_jobs_ask_for(path: Path) -> None:
    """And it has a group, so that two runs never publish side by side."""
    workflow = _load(path)

    assert workflow["permissions"] == {}
    assert "group" in workflow["concurrency"]


def test_only_the_job_that_publishes_may_write() -> None:
    """It alone gets tokens for PyPI, and only after a person approves their environments."""
    writes = {
        name: sorted(what for what, how in job["permissions"].items() if how != "read")
        for name, job in _jobs().items()
    }

    assert {name: what for name, what in writes.items() if what} == {
        "release.publish": ["attestations", "id-token"]
    }
    environment = _jobs()["release.publish"]["environment"]["name"]
    assert environment == "pypi-${{ matrix.distribution }}"


def test_every_distribution_is_published() -> None:
    """A new plugin is not forgotten, and its files are found under the name that they have."""
    job = _jobs()["release.publish"]
    script = next(step["run"] for step in job["steps"] if "run" in step)
    names = [each.partition(":")[0] for each in distributions()]

    assert job["strategy"]["matrix"]["distribution"] == names
    assert 'stem="dist/${DISTRIBUTION//-/_}-${TAG#v}"' in script


def test_no_job_keeps_the_credentials_of_its_checkout() -> None:
    """So no test and no build can push."""
    checkouts = [
        step["with"]["persist-credentials"]
        for job in _jobs().values()
        for step in job.get("steps", [])
        if step.get("uses", "").startswith("actions/checkout@")
    ]

    assert checkouts
    assert not any(checkouts)


def test_every_supported_python_is_tested() -> None:
    """The matrix is that of the classifiers."""
    said = "\n".join(pyproject(ROOT)["project"]["classifiers"])
    supported = re.findall(r"Python :: (3\.\d+)", said)

    assert _jobs()["tests.test"]["strategy"]["matrix"]["python"] == supported


def test_what_the_tests_start_is_installed_first() -> None:
    """The runner's own image lacks some of it, and ALL=1 makes that a failure."""
    scripts = "\n".join(step.get("run", "") for step in _jobs()["tests.test"]["steps"])
    line = next(line for line in scripts.splitlines() if "install" in line)

    assert {need.package for need in NEEDS} - ON_THE_RUNNER <= set(line.split())
