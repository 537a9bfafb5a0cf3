"""One version for all distributions, which the pages and the changelog agree with."""

from __future__ import annotations

import datetime as dt
import re
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from lifecycle.version import VERSION
from tests.docs.pages import ROOT, sections
from tests.release.building import projects
from tests.release.versions import distributions, pyproject

CORE, *PLUGINS = projects(ROOT)
KINDS = ("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security")
"""What Keep a Changelog has."""
ENTRY = re.compile(r"^## (?P<version>\S+) - (?P<date>\S+)$", re.MULTILINE)
CHANGELOG = (ROOT / "docs" / "changelog.md").read_text(encoding="utf-8")


def _next_minor() -> str:
    version = Version(VERSION)
    return f"{version.major}.{version.minor + 1}.0"


def _accepts_this_minor_only(text: str) -> bool:
    specifier = Requirement(text).specifier
    return VERSION in specifier and _next_minor() not in specifier


@pytest.mark.parametrize("each", distributions())
def test_a_distribution_has_the_version(each: str) -> None:
    """What is installed here says the version of `lifecycle/version.py`."""
    name, _, version = each.split(":")

    assert metadata.version(name) == version == VERSION


@pytest.mark.parametrize("folder", PLUGINS, ids=lambda folder: folder.name)
def test_a_plugin_reads_its_version_from_the_one_place(folder: Path) -> None:
    """No plugin states a version of its own."""
    settings = pyproject(folder)
    source = settings["tool"]["hatch"]["version"]

    assert "version" not in settings["project"]
    assert "version" in settings["project"]["dynamic"]
    assert (folder / source["path"]).resolve() == ROOT / "lifecycle" / "version.py"
    assert source["pattern"] == pyproject(CORE)["tool"]["hatch"]["version"]["pattern"]


@pytest.mark.parametrize("folder", PLUGINS, ids=lambda folder: folder.name)
def test_a_plugin_needs_this_minor_version(folder: Path) -> None:
    """The next minor version may have removed what it uses."""
    needed = [each for each in pyproject(folder)["project"]["dependencies"] if "pod-l" in each]

    assert [_accepts_this_minor_only(each) for each in needed] == [True]


@pytest.mark.parametrize("name", ["probe-plugins.md", "hooks.md"])
def test_the_plugin_that_the_pages_show_needs_this_minor_version(name: str) -> None:
    """What people copy from these pages can be installed with this version."""
    page = ROOT / "docs" / name
    text = "".join(block.text for section in sections(page) for block in section.of("toml"))
    needed = re.findall(r'"(pod-lifecycle[^"]*)"', text)

    assert [_accepts_this_minor_only(each) for each in needed] == [True]


def test_the_changelog_begins_with_this_version() -> None:
    """Whoever changes the version says what it brings."""
    versions = [Version(each["version"]) for each in ENTRY.finditer(CHANGELOG)]

    assert str(versions[0]) == VERSION
    assert versions == sorted(set(versions), reverse=True)


def test_the_changelog_has_dates_and_known_kinds_of_changes() -> None:
    """Its form is that of Keep a Changelog."""
    start = ENTRY.search(CHANGELOG)
    assert start is not None
    dates = [dt.date.fromisoformat(each["date"]) for each in ENTRY.finditer(CHANGELOG)]
    kinds = re.findall(r"^### (.+)$", CHANGELOG[start.start() :], re.MULTILINE)

    assert dates == sorted(dates, reverse=True)
    assert set(kinds) <= set(KINDS)


def test_this_version_gets_security_fixes() -> None:
    """docs/SECURITY.md has the row."""
    text = (ROOT / "docs" / "SECURITY.md").read_text(encoding="utf-8")

    assert f"| {VERSION.rpartition('.')[0]} | yes |" in text


@pytest.mark.parametrize("page", ["checks.md", "rehearse.md"])
def test_the_pages_name_this_version_where_people_copy_it(page: str) -> None:
    """The hook's `rev` and the actions' tags."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    named = re.findall(r"(?:OWNER/pod-lifecycle/\S+@|rev: )(\S+)", text)

    assert set(named) == {f"v{VERSION}"}


def test_every_tool_is_pinned() -> None:
    """Whatever a group of development dependencies names has its version in constraints.txt."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {canonicalize_name(line.partition("==")[0]) for line in lines if "==" in line}
    named = [
        each
        for group in pyproject(CORE)["dependency-groups"].values()
        for each in group
        if isinstance(each, str)
    ]

    assert [each for each in named if canonicalize_name(Requirement(each).name) not in pinned] == []


@pytest.mark.parametrize("folder", PLUGINS, ids=lambda folder: folder.name)
def test_a_plugin_has_the_licence_and_the_build_hook(folder: Path) -> None:
    """An sdist of a plugin has both, though it has nothing else of the repository."""
    assert (folder / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    assert (folder / ".build").resolve() == ROOT / ".build"
