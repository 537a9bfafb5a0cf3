"""Texts are found where people read them, with the right line, and cut into whole sentences."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.plain_words import markdown, python
from tests.plain_words.texts import Kind, Text

PAGE = """\
# A heading

A paragraph with `code; here`
over two lines. See <https://example.org/a.b> and [a link](https://example.org).

> [!WARNING]
> A warning.

- **A label**: an entry
- another

| a column | `x` |
| --- | --- |
| a cell | more |

```sh
not this; nor that
```

<!-- nor: this; -->
<!-- generated: table -->
Generated.
<!-- end of generated -->
The end.
"""

MODULE = '''\
"""
The module: its first line.

Rules of this file:

1. A rule.
"""

LIMIT = 3
"""A public limit."""
_HIDDEN = 3
"""A hidden limit."""


class Public(Base):
    """
    A class.

    Attributes:
        name: Its name,
            over two lines.
        other: Another one.
    """

    def method(self, name: str) -> str:
        """
        Do something.

        Returns:
            One text,
            over two lines.
        """
        if name == "two words":
            raise Refused(f"no app is {name!r}: look at the log" + (", or not at all" if x else ""))
        return re.compile("a pattern of words")

    def _private(self) -> None:
        """Not this."""
        self.log.warning("late", hint=f"the port is {'not yet open' if name else ''}")
        return "<p>no markup is read</p>"
'''


def seen(texts: list[Text]) -> list[tuple[int, str, str]]:
    """Return the line, the kind and the words of each text."""
    return [(each.line, each.kind.name.lower(), each.words) for each in texts]


def test_a_page() -> None:
    """Code blocks, comments and generated parts are left out, and lines are the page's own."""
    page = markdown.without_generated(PAGE)
    assert seen([*markdown.texts(page, "docs/page.md")]) == [
        (1, "heading", "A heading"),
        (
            3,
            "paragraph",
            "A paragraph with `code; here`\nover two lines. See `https://example.org/a.b` and a link.",
        ),
        (6, "paragraph", "\nA warning."),
        (9, "heading", "A label"),
        (9, "item", " an entry"),
        (10, "item", "another"),
        (12, "heading", "a column"),
        (12, "heading", "`x`"),
        (14, "cell", "a cell"),
        (14, "cell", "more"),
        (24, "paragraph", "The end."),
    ]


def test_a_module() -> None:
    """Public docstrings and their sections are texts, and so are strings of three words or more."""
    assert sorted(seen([*python.texts(MODULE, "lifecycle/module.py")])) == [
        (2, "paragraph", "The module: its first line."),
        (4, "paragraph", "Rules of this file:"),
        (6, "item", "A rule."),
        (10, "paragraph", "A public limit."),
        (17, "paragraph", "A class."),
        (20, "item", "Its name,\nover two lines."),
        (22, "item", "Another one."),
        (27, "paragraph", "Do something."),
        (30, "item", "One text,\nover two lines."),
        (34, "message", "no app is {…}: look at the log"),
        (34, "part", ", or not at all"),
        (39, "message", "the port is {…}"),
        (39, "part", "not yet open"),
    ]


def test_sentences() -> None:
    """A dot in code, in a number or in an abbreviation ends no sentence; lines are counted on."""
    text = Text("f", 5, "Wait 0.8 s, e.g. here.\npod-lifecycle runs `a. b`! Why?", Kind.PARAGRAPH)
    assert [(each.line, each.shown, each.is_first) for each in text.sentences()] == [
        (5, "Wait 0.8 s, e.g. here.", True),
        (6, "pod-lifecycle runs `a. b`!", False),
        (6, "Why?", False),
    ]


@settings(deadline=None)
@given(st.text(alphabet="aZ .!?`{}\n;:", max_size=60))
def test_no_word_is_lost(words: str) -> None:
    """Together the sentences are the text, and each stands on one of its lines."""
    sentences = [*Text("f", 1, words, Kind.PARAGRAPH).sentences()]
    assert " ".join(each.shown for each in sentences).split() == words.split()
    assert all(1 <= each.line <= 1 + words.count("\n") for each in sentences)
    assert sum(each.is_first for each in sentences) == bool(words.split())
