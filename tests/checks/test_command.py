"""`lifecycle check`: what it prints, and what it returns."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lifecycle.checks.reports.report import Report
from lifecycle.checks.reports.sarif import as_sarif
from lifecycle.checks.reports.terminal import Screen, as_text
from lifecycle.checks.rules import RULES
from tests.checks.kit import found_in
from tests.checks.styles import NGINX
from tests.checks.styles_of_servers import GUNICORN
from tests.process.explained import message_of

Run = Callable[..., subprocess.CompletedProcess[str]]
BAD = """\
kind: Pod
apiVersion: v1
metadata: {name: a b}
spec:
  containers:
  - name: c
    image: registry.example/c:1
    command: [sh, -c, "lifecycle run a:b | tee log"]
    ports: [{containerPort: 80}]
    livenessProbe: {httpGet: {path: /h, port: 80}}
"""


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run the command in a folder with manifests."""
    for name, text in (
        ("good.yaml", NGINX),
        ("warn.yaml", GUNICORN),
        ("b d.yaml", BAD),
        ("again.yaml", BAD),
    ):
        (tmp_path / name).write_text(text)
    (tmp_path / "broken.yaml").write_text("a: [")
    (tmp_path / "binary").write_bytes(b"\x80\xff")
    (tmp_path / "utf16.yaml").write_text(BAD, encoding="utf-16")
    (tmp_path / "kustomization.yaml").write_text("resources: [good.yaml]\n")
    (tmp_path / "map.yaml").write_text("apiVersion: v1\nkind: ConfigMap\n")

    def run(*words: str, stdin: str = "", code: str = "") -> subprocess.CompletedProcess[str]:
        start = ["-c", code] if code else ["-m", "lifecycle", "check"]
        return subprocess.run(
            [sys.executable, *start, *words],
            cwd=tmp_path,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )

    return run


def test_exit_codes(run: Run) -> None:
    """0: nothing bad, warnings included; 1: errors; 2: something could not be read."""
    assert [
        (run(*files).returncode)
        for files in (
            ["good.yaml"],
            ["warn.yaml", "good.yaml"],
            ["b d.yaml", "good.yaml"],
            ["broken.yaml", "b d.yaml"],
        )
    ] == [0, 0, 1, 2]


@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        ("nosuch.yaml", "nosuch.yaml: unreadable: No such file or directory"),
        ("broken.yaml", "broken.yaml: unreadable: line 2: not valid YAML: "),
        ("binary", "binary: unreadable: not text in UTF-8. Save the file as UTF-8"),
        ("utf16.yaml", "utf16.yaml: unreadable: text in UTF-16. Save the file as UTF-8 ("),
        ("kustomization.yaml", "kustomization.yaml: nothing to check: "),
    ],
)
def test_bad_input(run: Run, file: str, sentence: str) -> None:
    """It is a sentence."""
    done = run(file)

    assert (done.returncode, done.stderr) == (2, "")
    assert " ".join(done.stdout.split()).startswith(sentence)


def test_a_folder_without_manifests(run: Run, tmp_path: Path) -> None:
    """It can be read. It is said what was looked for, with exit code 2."""
    (tmp_path / "shop").mkdir()
    done = run("shop")
    assert done.returncode == 2
    assert " ".join(done.stdout.split()).startswith(
        "shop: nothing to check: no *.yaml, *.yml or *.json file was found in this folder and its "
        "subfolders See "
    )
    done = run("--allow-nothing", "shop")
    assert (done.returncode, done.stdout.count("nothing to check")) == (0, 1)


def test_text(run: Run) -> None:
    """Each rule is there once, with its places under it; another file does not hide them."""
    done = run("b d.yaml", "again.yaml", "broken.yaml")

    lines = done.stdout.splitlines()
    assert lines[0] == "shell-pid-1: A shell is PID 1 and does not forward SIGTERM to the app."
    assert lines[1].startswith("  why: The kubelet sends SIGTERM only to PID 1.")
    assert any(each.startswith("b d.yaml:8: error: Pod/a b: c: sh -c ") for each in lines)
    assert any(each.startswith("again.yaml:8: error: Pod/a b: c: sh -c ") for each in lines)
    assert done.stdout.count("The kubelet sends SIGTERM only to PID 1.") == 1
    assert any(each.startswith("  fix: ") for each in lines)
    assert f"  see: {RULES['shell-pid-1'].page}" in lines
    assert f"  source: {RULES['shell-pid-1'].sources[0]}" in lines
    assert "startup-probe: There is a liveness probe without a startup probe." in lines
    assert any(each.startswith("b d.yaml:10: warning: Pod/a b: c: a start ") for each in lines)
    assert any(each.startswith("broken.yaml: unreadable: ") for each in lines)
    folded = [each for each in lines if ".yaml:" not in each and "https:" not in each]
    assert max(map(len, folded)) <= 80
    assert " ".join(each.strip() for each in lines[-2:]) == (
        "2 errors, 4 warnings in 2 workloads. To turn off a rule, name it in the annotation "
        "pod-lifecycle.dev/ignore"
    )
    assert run("good.yaml").stdout == "nothing found in 1 workload\n"


def test_text_on_a_terminal() -> None:
    """A narrow terminal folds every line after its place, and colours only what was folded."""
    report = Report(
        found_in(BAD), {"a.yaml": ["it is broken"]}, {"a.yaml": ["a note"]}, workloads=1
    )
    plain = as_text(report, Screen(50, folds=True))
    coloured = as_text(report, Screen(50, folds=True, colours=True))

    assert max(len(each) for each in plain.splitlines() if "https:" not in each) <= 50
    assert re.sub("\x1b\\[[0-9;]*m", "", coloured) == plain
    assert "f.yaml:8: \x1b[1;31merror:\x1b[0m Pod/a b: " in coloured
    assert "a.yaml: \x1b[1;31munreadable:\x1b[0m it is broken" in coloured


ODD = """
{"kind": "Pod", "metadata": {"name": "a\\u001b[2J\\nb\\ud800",
 "annotations": {"pod-lifecycle.dev/ignore": "one-replca"}},
 "spec": {"terminationGracePeriodSeconds": 0, "containers": [{"name": "c"}]}}
"""


def test_a_name_of_control_characters(run: Run) -> None:
    """Nothing of a manifest moves the cursor, and whatever stands in it, there is a report."""
    done = run("-", stdin=ODD)
    assert (done.returncode, done.stderr) == (1, "")
    assert r"Pod/a\x1b[2J b\ud800" in done.stdout
    assert "there is no rule one-replca. Did you mean one-replica?" in " ".join(done.stdout.split())

    for form in ("json", "sarif"):
        done = run("--format", form, "-", stdin=ODD)
        assert (done.returncode, done.stderr) == (1, "")
        assert "Pod/a\x1b[2J\nb?" in str(json.loads(done.stdout)).encode().decode("unicode_escape")


def test_a_file_name_that_is_no_text(run: Run, tmp_path: Path) -> None:
    """A file's name may be any bytes."""
    name = os.fsdecode(b"\xff.yaml")
    (tmp_path / name).write_text(BAD)

    assert r"\udcff.yaml:8: error: " in run(name).stdout
    log = json.loads(run("--format", "sarif", name).stdout)
    place = log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "%FF.yaml"


@pytest.mark.parametrize("closed", ["<&-", ">&-", "<&- >&-"])
def test_closed_streams(closed: str) -> None:
    """Without standard input it is unreadable, without standard output there is the exit code."""
    command = f"{sys.executable} -m lifecycle check - {closed}"
    done = subprocess.run(
        ["sh", "-c", command],
        input=BAD,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )

    assert (done.returncode, done.stderr) == (2 if "<" in closed else 1, "")


def test_json_from_a_pipe(run: Run) -> None:
    """`-` is standard input; JSON has everything that the text has."""
    done = run("--format", "json", "-", stdin=BAD)

    assert done.returncode == 1
    said = json.loads(done.stdout)
    assert [each["rule"] for each in said["findings"]] == [
        "shell-pid-1", "startup-probe", "app-probe"
    ]  # fmt: skip
    assert said["findings"][0].items() >= {"file": "-", "line": 8, "severity": "error"}.items()
    assert said["unreadable"] == {}


def test_sarif(run: Run) -> None:
    """SARIF has what its schema requires, every rule, and places that a code host can show."""
    done = run("--format", "sarif", "b d.yaml", "broken.yaml")

    assert done.returncode == 2
    log = json.loads(done.stdout)
    assert log["version"] == "2.1.0"
    (made,) = log["runs"]
    driver = made["tool"]["driver"]
    assert driver["name"] == "lifecycle check"
    assert [each["id"] for each in driver["rules"]] == list(RULES)
    first = made["results"][0]
    assert (first["ruleId"], first["level"]) == ("shell-pid-1", "error")
    assert driver["rules"][first["ruleIndex"]]["id"] == first["ruleId"]
    assert first["message"]["text"]
    place = first["locations"][0]["physicalLocation"]
    assert place == {"artifactLocation": {"uri": "b%20d.yaml"}, "region": {"startLine": 8}}
    (invocation,) = made["invocations"]
    assert invocation["executionSuccessful"] is False
    (problem,) = invocation["toolExecutionNotifications"]
    assert problem["message"]["text"].startswith("broken.yaml: ")


def test_sarif_of_nothing() -> None:
    """Without findings there is still a run with results: that is what closes old ones."""
    (made,) = json.loads(as_sarif(Report(found_in(NGINX))))["runs"]

    assert made["results"] == []
    assert made["invocations"][0]["executionSuccessful"] is True


def test_without_pyyaml(run: Run) -> None:
    """The core does not bring PyYAML: JSON is read without it, YAML says what to install."""
    code = (
        "import sys; sys.modules['yaml'] = None; sys.argv = ['lifecycle', 'check', '-']; "
        "from lifecycle.cli import main; main()"
    )
    done = run(code=code, stdin=BAD)
    assert done.returncode == 2
    assert message_of(done.stdout).endswith(
        "YAML needs PyYAML. Run: pip install 'pod-lifecycle[manifests]'"
    )

    pod = '{"kind": "Pod", "apiVersion": "v1", "spec": {}}'
    assert run(code=code, stdin=pod).stdout == "nothing found in 1 partial document\n"
