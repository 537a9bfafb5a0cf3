"""Every block of the documentation does what it says, and every link leads somewhere."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from lifecycle.cli.parser import make_parser
from lifecycle.config import Config
from lifecycle.qos.routes import PROBES
from tests.checks.kit import PRESTOP, QOS, found, found_in, pod
from tests.docs.pages import ROOT, Block, Section, anchors, links, pages, sections
from tests.docs.stage import Stage

EXECUTED = ("python", "sh", "shell", "console")
LANGUAGES = (*EXECUTED, "yaml", "toml", "json", "text", "mermaid", "dockerfile", "diff", "proto")
AT_ONCE = 6

SECTIONS = [section for page in pages() for section in sections(page)]
PLAYED = [section for section in SECTIONS if section.of(*EXECUTED)]


def _blocks(*languages: str) -> list[Any]:
    return [
        pytest.param(block, id=f"{section.page.name}:{block.line}")
        for section in SECTIONS
        for block in section.of(*languages)
    ]


def _play(section: Section) -> None:
    with Stage(section) as stage:
        stage.play()


@pytest.fixture(scope="session")
def plays(request: pytest.FixtureRequest) -> Iterator[dict[str, Future[None]]]:
    """All sections that this run asks for, side by side: they mostly wait for their drains."""
    asked = {item.name for item in request.session.items}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {
            section.id: pool.submit(_play, section)
            for section in PLAYED
            if f"test_a_section_does_what_it_says[{section.id}]" in asked
        }


@pytest.mark.timeout(240)
@pytest.mark.parametrize("section", PLAYED, ids=lambda section: section.id)
def test_a_section_does_what_it_says(section: Section, plays: dict[str, Future[None]]) -> None:
    """Its apps start, become ready and leave with 0; its commands succeed and say what is shown."""
    plays[section.id].result(timeout=230)


def test_a_part_of_an_example_stands_in_it() -> None:
    """What a page shows of an example is what the example's own tests run."""
    wrong = [
        f"{section.id}, line {block.line}"
        for section in SECTIONS
        for block in section.examples
        if block.text not in (ROOT / block.example).read_text(encoding="utf-8")
    ]

    assert wrong == []


def test_every_block_is_of_a_kind_that_is_checked() -> None:
    """No fence hides code from these tests."""
    unknown = [
        f"{section.id}, line {block.line}: {block.language!r}"
        for section in SECTIONS
        for block in section.blocks
        if block.language not in LANGUAGES
        or (
            block.language == "text"
            and re.search(r"^(\$ |import |curl )", block.text, re.MULTILINE)
        )
    ]

    assert unknown == []


@pytest.mark.parametrize("block", _blocks("python"))
def test_python_is_formatted(block: Block) -> None:
    """What people copy is formatted as the project is."""
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "format", "--check", "--line-length=100", "-"],
        input=block.text,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("block", _blocks("yaml"))
def test_a_manifest_names_what_exists(block: Block) -> None:
    """Its probes ask real paths, its commands parse, its grace period is the default."""
    for document in yaml.safe_load_all(block.text):
        _check_manifest(document)


def _check_manifest(node: Any) -> None:
    if isinstance(node, list):
        for each in node:
            _check_manifest(each)
    if not isinstance(node, dict):
        return
    for key, value in node.items():
        if key == "httpGet":
            assert value["path"].strip("/") in {*PROBES, "prestop"}
            assert value["port"] in ("qos", Config().qos_port)
        elif key == "command" and value[0] == "lifecycle":
            make_parser().parse_args(value[1:])
        elif key == "terminationGracePeriodSeconds":
            assert value == Config().grace_period
        _check_manifest(value)


@pytest.mark.parametrize("block", _blocks("diff"))
def test_a_diff_of_a_manifest_makes_one_without_findings(block: Block) -> None:
    """Both its sides are manifests; the new one names what exists, and `check` finds nothing."""
    before, after = block.sides
    made = list(yaml.safe_load_all(after))

    assert made != list(yaml.safe_load_all(before))
    assert found_in(after) == []
    for document in made:
        _check_manifest(document)


@pytest.mark.parametrize("block", _blocks("dockerfile"))
def test_a_dockerfile_starts_what_check_lets_through(block: Block) -> None:
    """Its last command, in a pod with our probes and preStop, has no finding."""
    command = json.loads(re.findall(r"^CMD (.+)$", block.text, re.MULTILINE)[-1])
    made = pod(QOS | PRESTOP | {"command": command})

    assert command[0] == "lifecycle"
    assert found(made) == []


@pytest.mark.parametrize("block", _blocks("toml"))
def test_toml_parses(block: Block) -> None:
    """A package's pyproject is one."""
    assert tomllib.loads(block.text)


def test_json_parses() -> None:
    """What is shown as JSON is JSON."""
    for section in SECTIONS:
        for block in section.of("json"):
            json.loads(block.text)


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_resolve(page: Path) -> None:
    """Files exist, and anchors are headings of theirs."""
    broken = []
    for target in links(page):
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)

    assert broken == []


def test_every_page_is_in_the_index() -> None:
    """Who opens docs/ finds every page."""
    index = ROOT / "docs" / "README.md"
    linked = {target.partition("#")[0] for target in links(index)}

    assert {page.name for page in (ROOT / "docs").glob("*.md")} - linked == {"README.md"}


def test_the_index_lists_each_page_once() -> None:
    """A page has one purpose: it is a tutorial, a guide, an explanation or a reference."""
    text = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \[[^]]+\]\(([\w.-]+\.md)\) \|", text, re.MULTILINE)

    assert sorted(rows) == sorted(
        {page.name for page in (ROOT / "docs").glob("*.md")} - {"README.md"}
    )


def test_every_example_has_its_row() -> None:
    """Who opens examples/ finds each file and folder in the README's table."""
    folder = ROOT / "examples"
    linked = links(folder / "README.md")
    there = [each for each in folder.iterdir() if each.is_dir() or each.suffix == ".py"]
    names = {each.name for each in there if each.name != "__pycache__"}

    assert {name for name in names if not any(link.startswith(name) for link in linked)} == set()


def test_what_is_generated_is_fresh() -> None:
    """`make docs` would change nothing."""
    done = subprocess.run(
        [sys.executable, "docs/generate.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_timeline_is_a_picture() -> None:
    """It is well-formed SVG, and readable on dark."""
    text = (ROOT / "docs" / "img" / "timeline.svg").read_text(encoding="utf-8")

    assert ET.fromstring(text).tag == "{http://www.w3.org/2000/svg}svg"
    assert "prefers-color-scheme: dark" in text


def test_every_dependency_has_its_reason() -> None:
    """docs/dependencies.md tells of each core dependency."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = {re.split(r"[<>=~ ]", each)[0] for each in project["dependencies"]}
    text = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")

    assert {name for name in names if not re.search(rf"^\| {name} \|", text, re.MULTILINE)} == set()


@pytest.mark.parametrize("which", ["only_mutate", "pytest_add_cli_args_test_selection"])
def test_each_file_of_the_mutation_tests_is_named_once(which: str) -> None:
    """`make mutate` finds each file and folder that pyproject.toml names, and runs none twice."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    named = settings["tool"]["mutmut"][which]
    files = [
        file
        for each in named
        for file in ((ROOT / each).rglob("test_*.py") if (ROOT / each).is_dir() else [ROOT / each])
    ]

    assert [each for each in files if not each.is_file()] == []
    assert len(files) >= len(named)
    assert sorted(files) == sorted(set(files))


SHOWN = (
    r"GET \S+ from [^\s,]+|gunicorn \(pid|^main,|Too many open files|requests and 1 connection"
    r"|gunicorn sync"
)
"""What the pages show in messages in the place of a variable part."""


def _messages() -> list[str]:
    named = ("any-server.md", "drain-report.md")
    texts = [(ROOT / "docs" / name).read_text(encoding="utf-8") for name in named]
    spans = re.findall(r"^\| `([^`]+)`", "\n".join(texts), re.MULTILINE)
    commands = ("--", "lifecycle ")
    made_up = re.compile(r", after [\d.]+ s\b")  # of variable parts only
    found = {span for span in spans if len(span) > 14 and not span.startswith(commands)}
    return sorted(span for span in found if not made_up.search(span))


@pytest.mark.parametrize("message", _messages())
def test_a_message_to_look_up_is_one_that_is_said(message: str) -> None:
    """The fixed parts of each message in the tables of these pages stand in the code."""
    source = "\n".join(p.read_text(encoding="utf-8") for p in (ROOT / "lifecycle").rglob("*.py"))
    source = re.sub(r"\"\s*\n\s*f?\"|\\n", "", source)  # strings that run over several lines
    source = re.sub(r"\{[^{}]*\}", "…", source)
    source = re.sub(r"[`'\"]", "", source)
    message = re.sub(r"(?<!\w)'[^']*'", "…", message).replace("'", "")
    message = re.sub(SHOWN, "…", message)
    parts = re.split(r"[…*:;=?`]|\b[\d.]+\b|\b[A-Z_]{5,}\b|\bN ", message)
    long = [part.strip(" ,()") for part in parts if len(part.strip(" ,()")) > 5]

    assert long, "nothing in it can be looked for"
    assert [part for part in long if part not in source] == []
