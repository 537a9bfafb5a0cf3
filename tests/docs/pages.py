"""The pages, taken apart: sections, and the fenced blocks in them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]

_FENCE = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#{1,2} (?P<title>.+)$")
_COMMENT = re.compile(r"<!-- (?P<text>.*?)-->\s*$", re.DOTALL)


@dataclass(frozen=True)
class Block:
    """One fenced block; `comment` is the HTML comment right above it."""

    language: str
    text: str
    line: int
    comment: str = ""

    @property
    def example(self) -> str:
        """The file of the repository that it is a part of."""
        return self.comment.removeprefix("example: ") if self.comment.startswith("example:") else ""

    @property
    def written(self) -> str:
        """The file that the section's commands write, and that the block shows."""
        return self.comment.removeprefix("written: ") if self.comment.startswith("written:") else ""

    @property
    def sides(self) -> tuple[str, str]:
        """What a diff changes, and what it makes of it."""
        lines = self.text.splitlines()
        before, after = ([line[1:] for line in lines if line[:1] != sign] for sign in "+-")
        return "\n".join(before), "\n".join(after)

    @property
    def file(self) -> str:
        """Its file's name, if its first line is a comment that gives one."""
        match = re.match(r"(?:#|//) ([\w./-]+\.(py|toml|proto))\n", self.text)
        return match[1] if match else ""

    @property
    def given(self) -> str:
        """What is stated to stand before it."""
        return self.comment.removeprefix("given:") if self.comment.startswith("given:") else ""

    @property
    def files_of(self) -> str:
        """The section whose files its commands use, as `Section.id` names it."""
        return self.comment.removeprefix("files: ") if self.comment.startswith("files: ") else ""


@dataclass
class Section:
    """A page's part under one heading of the first or second level."""

    page: Path
    title: str
    blocks: list[Block] = field(default_factory=list)

    @property
    def id(self) -> str:
        """How the test is called."""
        return f"{self.page.relative_to(ROOT)}: {self.title}"

    def of(self, *languages: str) -> list[Block]:
        """Return its blocks of some languages, without those that are parts of examples."""
        return [b for b in self.blocks if b.language in languages and not b.example]

    @property
    def examples(self) -> list[Block]:
        """Its blocks that are parts of examples."""
        return [block for block in self.blocks if block.example]


def pages() -> list[Path]:
    """Return every page that is documentation."""
    return [
        ROOT / "README.md",
        *sorted((ROOT / "docs").glob("*.md")),
        *sorted((ROOT / "plugins").glob("*/README.md")),
    ]


def sections(page: Path) -> list[Section]:
    """Take a page apart."""
    text = page.read_text(encoding="utf-8")
    found = [Section(page, "")]
    at = 0
    for fence in [*_FENCE.finditer(text), None]:
        prose = text[at : fence.start() if fence else len(text)]
        for line in prose.splitlines():
            if heading := _HEADING.match(line):
                found.append(Section(page, heading["title"]))
        if fence:
            comment = _COMMENT.search(prose)
            found[-1].blocks.append(
                Block(
                    fence["language"],
                    fence["text"],
                    text.count("\n", 0, fence.start()) + 1,
                    comment["text"].strip() if comment else "",
                )
            )
            at = fence.end()
    return found


def anchors(page: Path) -> set[str]:
    """Return what links into a page may name, as GitHub makes it from the headings."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    return set(map(slug, re.findall(r"^#+ (.+)$", text, re.MULTILINE)))


def slug(heading: str) -> str:
    """Return the anchor of a heading."""
    plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


def links(page: Path) -> list[str]:
    """Return the targets of a page's links and pictures that stay inside the project."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    found = re.findall(r"\]\(([^)\s]+)\)", text)
    return [target for target in found if not re.match(r"[a-z]+:", target)]
