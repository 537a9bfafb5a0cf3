"""The site: what is changed on the way to it, and that a dead link does not get through."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.docs.pages import ROOT


@pytest.fixture
def website(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ModuleType]:
    """The script, which builds into a folder of the test."""
    spec = importlib.util.spec_from_file_location("website", ROOT / "docs" / "website.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name in ("PAGES", "HTML"):
        monkeypatch.setattr(module, name, tmp_path / name)
        (tmp_path / name).mkdir()
    yield module
    sys.modules.pop("website", None)


def test_every_page_is_staged(website: ModuleType) -> None:
    """Each has a place of its own, and each file that one links to is beside them."""
    stage = website.Stage()
    stage.write()

    assert len({*stage.pages.values()}) == len(stage.pages) > 30
    assert {path.name for path in website.PAGES.glob("*.md")} == {*stage.pages.values()}
    assert all((website.PAGES / "files" / f"{name}.txt").is_file() for name in stage.files)


def test_the_navigation_is_the_index(website: ModuleType) -> None:
    """Each page is in it once, and each of docs/ under the heading that docs/README.md gives it."""
    stage = website.Stage()
    stage.write()
    sections = [*website.navigation(stage.pages)]
    places = [place for _, under in sections for _, place in under]
    (rest,) = (under for heading, under in sections if heading == "Plugins, examples and tests")

    assert sorted(places) == sorted({*stage.pages.values()} - {"contents.md"})
    assert {place.partition("-")[0] for _, place in rest} == {"lifecycle", "tests", "examples.md"}


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        ("README.md", "docs/drain.md#the-budget", "drain.md#the-budget"),
        ("docs/drain.md", "../README.md", "index.md"),
        ("docs/drain.md", "../plugins/grpc/README.md", "lifecycle-grpc.md"),
        ("docs/drain.md", "img/timeline.svg", "img/timeline.svg"),
        ("docs/drain.md", "#signals", "#signals"),
        ("docs/drain.md", "https://example.com/a.md", "https://example.com/a.md"),
        ("docs/drain.md", "../lifecycle/states.py", "files/lifecycle/states.py.txt"),
    ],
)
def test_a_link_leads_to_the_same_on_the_site(
    website: ModuleType, source: str, target: str, expected: str
) -> None:
    """Between pages, to a picture, to a file of the repository, and elsewhere."""
    assert website.Stage().link(source, target) == expected


def test_a_link_to_no_file_is_refused(website: ModuleType) -> None:
    """The page and the link are named."""
    with pytest.raises(SystemExit, match=r"docs/drain\.md: \.\./nothing\.py leads nowhere"):
        website.Stage().link("docs/drain.md", "../nothing.py")


def test_an_alert_becomes_an_admonition(website: ModuleType) -> None:
    """Its lines are in it, and nothing else is."""
    text = "Before.\n\n> [!WARNING]\n> One.\n> Two.\n\nAfter.\n> a quotation\n"

    assert website.with_admonitions(text) == (
        "Before.\n\n!!! warning\n\n    One.\n    Two.\n\nAfter.\n> a quotation\n"
    )


@pytest.mark.parametrize(
    ("link", "is_dead"),
    [
        ("b.html", False),
        ("b.html#there", False),
        ("b.html#not-there", True),
        ("c.html", True),
        ("#here", False),
        ("#nowhere", True),
        ("picture.svg", True),
        ("https://example.com/", False),
    ],
)
def test_a_dead_link_is_found(website: ModuleType, link: str, is_dead: bool) -> None:
    """To a page, or to a place in one; other sites are not asked."""
    (website.HTML / "a.html").write_text(f'<p id="here"><a href="{link}">x</a>')
    (website.HTML / "b.html").write_text('<h2 id="there">There</h2>')

    assert website.dead_links() == ([f"a.html: {link}"] if is_dead else [])
