# ruff: noqa: INP001 - a script beside the pages
"""
The documentation as a site: `make site` writes it to `.site/html`.

The pages are those of the repository, with three changes. GitHub's alerts become admonitions. The
API is written from the docstrings. If a page links to another file of the repository, the site gets
a copy of the file. Each page is there as Markdown too, for tools that read text, and `llms.txt`
lists all pages.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path, PurePosixPath
from posixpath import normpath
from typing import Final
from urllib.parse import unquote, urlsplit

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parent
SITE: Final = ROOT / ".site"
PAGES: Final = SITE / "pages"
HTML: Final = SITE / "html"

INDEX: Final = "README.md"
CONTENTS: Final = "docs/README.md"
"""The page whose headings and links are the navigation."""
API: Final = "docs/api.md"

LINK: Final = re.compile(r"(?<=\]\()(?P<target>[^)\s]+)(?=\))|(?<=href=\")(?P<href>[^\"]+)(?=\")")
ALERT: Final = re.compile(r"^> \[!(?P<kind>\w+)\]\n(?P<body>(?:>.*\n?)+)", re.MULTILINE)
KINDS: Final = {"NOTE": "note", "TIP": "tip", "IMPORTANT": "info", "WARNING": "warning"}
GENERATED_API: Final = re.compile(r"<!-- generated: api -->.*?<!-- end of generated -->", re.DOTALL)
ROW: Final = re.compile(r"\| \[(?P<title>[^\]]+)\]\((?P<place>[\w./-]+\.md)\) \|")
"""A row of a table of pages."""
FENCE: Final = re.compile(r"^( *)(```|~~~)")


def pages() -> dict[str, str]:
    """Return each page of the repository, and where it is on the site."""
    found = {INDEX: "index.md", CONTENTS: "contents.md", "examples/README.md": "examples.md"}
    found["docs/SECURITY.md"] = "vulnerabilities.md"  # `security.md` is another page
    for path in sorted(HERE.glob("*.md")):
        found.setdefault(f"docs/{path.name}", path.name.lower())
    for path in sorted((ROOT / "plugins").glob("*/README.md")):
        found[str(path.relative_to(ROOT))] = f"lifecycle-{path.parent.name}.md"
    for path in sorted((ROOT / "tests").glob("*/README.md")):
        found[str(path.relative_to(ROOT))] = f"tests-{path.parent.name}.md"
    return found


class Stage:
    """Puts the pages where the site is built from."""

    def __init__(self) -> None:
        self.pages = pages()
        self.files: set[str] = set()
        """The other files of the repository that pages link to."""

    def write(self) -> None:
        """Write every page, and every file that one links to."""
        for source, place in self.pages.items():
            text = (ROOT / source).read_text(encoding="utf-8")
            (PAGES / place).write_text(self._page(source, text), encoding="utf-8")
        shutil.copytree(HERE / "img", PAGES / "img", dirs_exist_ok=True)
        for name in self.files:
            target = PAGES / "files" / f"{name}.txt"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, target)

    def _page(self, source: str, text: str) -> str:
        if source == API:
            text = GENERATED_API.sub(_api(), text)
        lines, fence = [], ""
        for line in text.splitlines():
            mark = FENCE.match(line)
            if mark and (not fence or mark[2] == fence):
                fence = "" if fence else mark[2]
            lines.append(line if fence else LINK.sub(lambda at: self.link(source, at[0]), line))
        return with_admonitions("\n".join(lines) + "\n")

    def link(self, source: str, target: str) -> str:
        """Return where a link of a page leads to on the site."""
        parts = urlsplit(target)
        if parts.scheme or not parts.path:
            return target
        name = normpath(PurePosixPath(source).parent / unquote(parts.path))
        anchor = f"#{parts.fragment}" if parts.fragment else ""
        if name in self.pages:
            return self.pages[name] + anchor
        if name.startswith("docs/img/"):
            return name.removeprefix("docs/")
        path = ROOT / name
        if path.is_dir():
            inside = f"{name}/README.md"
            return self.pages[inside] + anchor if inside in self.pages else "#"
        if not path.is_file():
            raise SystemExit(f"{source}: {target} leads nowhere")
        self.files.add(name)
        return f"files/{name}.txt"


def with_admonitions(text: str) -> str:
    """Return a page with GitHub's alerts as the site knows them."""
    return ALERT.sub(_admonition, text)


def _admonition(alert: re.Match[str]) -> str:
    body = [line.removeprefix(">").removeprefix(" ") for line in alert["body"].splitlines()]
    inside = "\n".join(f"    {line}".rstrip() for line in body)
    return f"!!! {KINDS[alert['kind']]}\n\n{inside}\n"


def _api() -> str:
    sys.path.insert(0, str(ROOT))
    import lifecycle

    names = [f"lifecycle.{name}" for name in lifecycle.__all__ if not name.startswith("_")]
    names += ["lifecycle.asgi.Middleware", "lifecycle.asgi.Managed"]
    return "\n\n".join(f"::: {name}" for name in names)


def navigation(places: dict[str, str]) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Return the headings of the navigation, each with its pages: title and place."""
    heading, under = "Home", [("pod-lifecycle", "index.md")]
    listed = {"index.md", "contents.md"}
    for line in (PAGES / "contents.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            yield heading, under
            heading, under = line[3:], []
        if row := ROW.match(line):
            under.append((row["title"], row["place"]))
            listed.add(row["place"])
    yield heading, under
    rest = sorted({*places.values()} - listed)
    yield "Plugins, examples and tests", [(_title(place), place) for place in rest]


def _title(place: str) -> str:
    first = (PAGES / place).read_text(encoding="utf-8").splitlines()[0]
    return first.removeprefix("# ").replace("`", "")


def _settings(sections: list[tuple[str, list[tuple[str, str]]]]) -> str:
    nav = ",\n".join(
        f"    {{{_quoted(heading)} = [{', '.join(f'{{{_quoted(t)} = {_quoted(p)}}}' for t, p in under)}]}}"
        for heading, under in sections
        if under
    )
    settings = (HERE / "website.toml").read_text(encoding="utf-8")
    return settings.replace("\n[project.theme]", f"\nnav = [\n{nav}\n]\n\n[project.theme]", 1)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def for_readers_of_text(sections: list[tuple[str, list[tuple[str, str]]]]) -> None:
    """Put each page's Markdown next to the page, and list all pages in `llms.txt`."""
    lines = ["# pod-lifecycle", ""]
    lines += ["> Rolling updates without lost requests, for Python services on Kubernetes.", ""]
    for heading, under in sections:
        if under:
            lines += [f"## {heading}", "", *(f"- [{t}]({p})" for t, p in under), ""]
    (HTML / "llms.txt").write_text("\n".join(lines), encoding="utf-8")
    for page in PAGES.glob("*.md"):
        shutil.copyfile(page, HTML / page.name)


class Page(HTMLParser):
    """The links of one page, and what may be linked to in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors = {""}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take note of a link or an anchor."""
        for name, value in attrs:
            if name in ("id", "name") and value:
                self.anchors.add(value)
            if value and ((tag in ("a", "link") and name == "href") or name == "src"):
                self.links.append(value)


def dead_links() -> list[str]:
    """Return each link of the site that leads nowhere. Links to other sites are not followed."""
    read = {
        path.relative_to(HTML).as_posix(): Page(path.read_text(encoding="utf-8"))
        for path in HTML.rglob("*.html")
    }
    dead = []
    for name, page in read.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or name == "404.html":
                continue
            path = (
                normpath(PurePosixPath(name).parent / unquote(parts.path)) if parts.path else name
            )
            path = f"{path}/index.html" if (HTML / path).is_dir() else path
            there = (HTML / path).is_file()
            if not there or (path in read and unquote(parts.fragment) not in read[path].anchors):
                dead.append(f"{name}: {link}")
    return dead


def main() -> None:
    """Build the site. Exits with 1 if a link leads nowhere."""
    shutil.rmtree(SITE, ignore_errors=True)
    PAGES.mkdir(parents=True)
    stage = Stage()
    stage.write()
    sections = list(navigation(stage.pages))
    (SITE / "zensical.toml").write_text(_settings(sections), encoding="utf-8")
    build = [sys.executable, "-m", "zensical", "build", "--clean"]
    env = os.environ | {"NO_COLOR": "1"}
    subprocess.run(build, cwd=SITE, check=True, env=env)  # noqa: S603 - our own words
    for_readers_of_text(sections)
    dead = dead_links()
    for each in dead:
        sys.stderr.write(f"a link leads nowhere: {each}\n")
    sys.stdout.write(f"{HTML.relative_to(ROOT)}/index.html: {len(stage.pages)} pages\n")
    sys.exit(1 if dead else 0)


if __name__ == "__main__":
    main()
