"""
`lifecycle check` on whole repositories, as the world keeps its manifests.

`repositories/NAME` is a repository, and `repositories/NAME.txt` what the command says of it: its
exit code, its findings as `FILE:LINE: SEVERITY: RULE`, what it could not read, its notes, and how
many files hold no workload. A walk must say exactly that.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest

from lifecycle.cli.check import run as check

FOLDER = Path(__file__).with_name("repositories")
NAMES = sorted(each.stem for each in FOLDER.glob("*.txt"))


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Enter a repository."""
    monkeypatch.chdir(FOLDER / request.param)
    return str(request.param)


def run(
    capsys: pytest.CaptureFixture[str], *files: str, allow_nothing: bool = False
) -> tuple[int, dict[str, Any]]:
    options = argparse.Namespace(
        files=list(files), format="json", allow_nothing=allow_nothing, exclude=[]
    )
    code = check(options)
    return code, json.loads(capsys.readouterr().out)


def findings(said: dict[str, Any]) -> list[str]:
    return [
        f"{each['file']}:{each['line'] or 0}: {each['severity']}: {each['rule']}"
        for each in said["findings"]
    ]


def summary(code: int, said: dict[str, Any]) -> list[str]:
    held = ", ".join(f"{number} {kind}" for kind, number in sorted(said["passed_over"].items()))
    return [
        f"exit {code}",
        *findings(said),
        *(
            f"{file}: unreadable: {one}"
            for file, all_ in said["unreadable"].items()
            for one in all_
        ),
        *(f"{file}: note: {one}" for file, all_ in said["notes"].items() for one in all_),
        f"{said['workloads']} workloads, {said['partial_documents']} partial documents",
        f"{said['files_without_workload']} files without a workload ({held})",
    ]


def test_there_are_enough() -> None:
    """Every repository has its expectation, and there are at least ten styles of them."""
    assert sorted(each.name for each in FOLDER.iterdir() if each.is_dir()) == NAMES
    assert len(NAMES) >= 10


def test_a_walk(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Of a whole repository there is found what hurts, and nothing is taken for a manifest that is none."""
    wanted = (FOLDER / f"{name}.txt").read_text().splitlines()

    assert summary(*run(capsys, ".")) == wanted


def test_a_hook_that_names_every_file(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A pre-commit hook names the files of a commit: each finding of a walk is there, and no other."""
    files = [str(each) for each in sorted(Path().rglob("*")) if each.is_file()]
    _, walked = run(capsys, ".")
    _, named = run(capsys, *files, allow_nothing=True)

    assert sorted(findings(named)) == sorted(findings(walked))


def test_a_hook_that_names_one_file(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Of one changed file alone the exit code is not 0 only if that file is to be mended."""
    _, walked = run(capsys, ".")
    bad = {each["file"] for each in walked["findings"] if each["severity"] == "error"}
    for file in sorted(Path().rglob("*")):
        if file.is_file():
            code, said = run(capsys, str(file), allow_nothing=True)
            expected = 2 if str(file) in walked["unreadable"] else int(str(file) in bad)
            assert (str(file), code, said["unreadable"].keys()) == (
                str(file), expected, {str(file)} if expected == 2 else set()
            )  # fmt: skip
