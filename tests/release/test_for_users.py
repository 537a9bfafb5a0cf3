"""The pre-commit hook and the GitHub actions do what the pages say."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from lifecycle.cli.parser import make_parser
from tests.docs.pages import ROOT
from tests.release.versions import pyproject

ACTIONS = ROOT / ".github" / "actions"
BAD = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop}
spec:
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec:
      containers:
      - {name: shop, image: "shop:1", command: [lifecycle, run, "shop:main"], env: [{name: LIFECYCLE_SETLE, value: "3"}]}
      terminationGracePeriodSeconds: 1
"""
RECORDER = """#!/bin/sh
for word in "$@"; do printf '%s\\n' "$word"; done >"$RECORD"
exit 3
"""


def _hook() -> dict[str, Any]:
    hooks = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    assert [each["id"] for each in hooks] == ["lifecycle-check"]
    return dict(hooks[0])


def _action(name: str) -> dict[str, Any]:
    return dict(yaml.safe_load((ACTIONS / name / "action.yml").read_text(encoding="utf-8")))


def _environment(tmp_path: Path, **variables: str) -> dict[str, str]:
    return os.environ | {
        "RUNNER_TEMP": str(tmp_path / "runner"),
        "GITHUB_OUTPUT": str(tmp_path / "output"),
        **variables,
    }


def _play(step: dict[str, Any], inputs: dict[str, str], cwd: Path, tmp_path: Path) -> Any:
    """Run a step as a runner does it: bash -e, and the inputs in the environment."""
    env = {
        name: re.sub(r"\$\{\{ inputs\.([\w-]+) \}\}", lambda found: inputs[found[1]], value)
        for name, value in step["env"].items()
    }
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
        cwd=cwd,
        env=_environment(tmp_path, **env, RECORD=str(tmp_path / "record")),
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def _defaults(name: str, **given: str) -> dict[str, str]:
    inputs = _action(name)["inputs"]
    return {each: str(told.get("default", "")) for each, told in inputs.items()} | given


def _outputs(tmp_path: Path) -> dict[str, str]:
    lines = (tmp_path / "output").read_text(encoding="utf-8").splitlines()
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A folder with a manifest that has an error, and one with the environment of the actions."""
    for name in ("lifecycle-check", "lifecycle-rehearse"):
        (tmp_path / "runner" / name / "bin").mkdir(parents=True)
    command = Path(sys.executable).parent / "lifecycle"
    (tmp_path / "runner" / "lifecycle-check" / "bin" / "lifecycle").symlink_to(command)
    folder = tmp_path / "repository"
    (folder / "deploy here").mkdir(parents=True)
    (folder / "deploy here" / "bad.yaml").write_text(BAD)
    return folder


def _check(repository: Path, tmp_path: Path, **inputs: str) -> Any:
    step = _action("check")["runs"]["steps"][-1]
    return _play(step, _defaults("check", **inputs), repository, tmp_path)


# The hook


def test_the_hook_runs_a_command_that_there_is() -> None:
    """Its entry is understood, and options may follow it."""
    words = shlex.split(_hook()["entry"])

    assert words[0] == "lifecycle"
    options = make_parser().parse_args([*words[1:], "--exclude", "vendor"])
    assert (options.files, options.exclude, options.allow_nothing) == (["."], ["vendor"], True)


def test_the_hook_brings_what_reading_manifests_needs() -> None:
    """pre-commit installs no extras, so the hook names what the extra has."""
    extras = pyproject(ROOT)["project"]["optional-dependencies"]

    assert _hook()["additional_dependencies"] == extras["manifests"]


# The actions


@pytest.mark.parametrize("name", ["check", "rehearse"])
def test_no_input_is_pasted_into_a_script(name: str) -> None:
    """An input reaches a script as a variable, so that none can bring code of its own."""
    steps = _action(name)["runs"]["steps"]

    assert [step["name"] for step in steps if "${{" in step["run"]] == []


@pytest.mark.parametrize("name", ["check", "rehearse"])
def test_an_action_reads_each_of_its_inputs(name: str) -> None:
    """No input is without effect, and none is missing."""
    action = _action(name)
    text = json.dumps([step["env"] for step in action["runs"]["steps"]])

    assert set(re.findall(r"inputs\.([\w-]+)", text)) == set(action["inputs"])


@pytest.mark.parametrize(("name", "page"), [("check", "checks"), ("rehearse", "rehearse")])
def test_the_page_lists_each_input_with_its_default(name: str, page: str) -> None:
    """No more, no fewer."""
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    text = text[text.index("In GitHub Actions") :]
    table = text[text.index("| input |") :].partition("\n\n")[0]
    told = dict(re.findall(r"^\| `([\w-]+)` \| (?:`([^`]*)`)? ?\|", table, re.MULTILINE))

    assert told == _defaults(name)


def test_the_check_fails_and_writes_sarif(repository: Path, tmp_path: Path) -> None:
    """An error in a manifest is shown as text, and stands in the file for code scanning."""
    done = _check(repository, tmp_path)

    assert done.returncode == 1, done.stderr
    assert "bad.yaml" in done.stdout
    assert _outputs(tmp_path) == {"sarif": "lifecycle-check.sarif", "exit-code": "1"}
    sarif = json.loads((repository / "lifecycle-check.sarif").read_text(encoding="utf-8"))
    assert sarif["version"] == "2.1.0"
    assert sarif["runs"][0]["results"]


def test_the_check_takes_paths_and_patterns_one_a_line(repository: Path, tmp_path: Path) -> None:
    """Spaces belong to a path, and what looks like an option is a path."""
    paths = "deploy here\n--help\n"
    done = _check(repository, tmp_path, paths=paths, exclude="*/bad.yaml\nvendor")

    assert done.returncode == 2, done.stderr
    assert "--help" in done.stdout
    assert "bad.yaml:" not in done.stdout


def test_nothing_to_check_is_a_success_if_allowed(repository: Path, tmp_path: Path) -> None:
    """As in a repository whose manifests are written later."""
    inputs = {"allow-nothing": "true", "exclude": "*/bad.yaml"}

    assert _check(repository, tmp_path, **inputs).returncode == 0
    assert _check(repository, tmp_path, exclude="*/bad.yaml").returncode == 2


def test_an_input_cannot_run_a_command(repository: Path, tmp_path: Path) -> None:
    """A path with shell syntax is only a path."""
    done = _check(repository, tmp_path, paths='$(touch stolen)"; touch stolen; "`touch stolen`')

    assert done.returncode == 2, done.stderr
    assert not (repository / "stolen").exists()


def test_the_rehearsal_gets_its_words(repository: Path, tmp_path: Path) -> None:
    """Quotes keep words together, nothing is expanded, and the exit code is the rehearsal's."""
    folder = tmp_path / "runner" / "lifecycle-rehearse" / "bin"
    (folder / "python").symlink_to(sys.executable)
    (folder / "lifecycle").write_text(RECORDER)
    (folder / "lifecycle").chmod(0o755)
    inputs = _defaults(
        "rehearse",
        command='uvicorn "my app:app" --port {port} $(touch stolen)',
        arguments="--rollouts 3 --path '/a b'",
    )
    step = _action("rehearse")["runs"]["steps"][-1]
    done = _play(step, inputs, repository, tmp_path)

    assert done.returncode == 3, done.stderr
    assert _outputs(tmp_path) == {"exit-code": "3"}
    words = (tmp_path / "record").read_text(encoding="utf-8").splitlines()
    options = make_parser().parse_args(words)
    assert (options.rollouts, options.path) == (3, ["/a b"])
    assert (options.report, options.junit) == ("rehearsal.html", "rehearsal.xml")
    expected = ["uvicorn", "my app:app", "--port", "{port}", "$(touch", "stolen)"]
    assert words[words.index("--") + 1 :] == expected
