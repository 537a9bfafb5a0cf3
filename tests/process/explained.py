"""Messages of the command: one line, and the address of the page about it in the next one."""

from __future__ import annotations

from lifecycle.links import docs_page
from tests.docs.pages import ROOT, anchors


def message_of(output: str) -> str:
    """Return the message, once it is seen that the page is one of ours, and has the anchor."""
    message, see, rest = output.split("\n")
    assert rest == ""
    name, _, anchor = see.removeprefix(f"See {docs_page('')}").partition("#")
    assert anchor in anchors(ROOT / "docs" / name), see
    return message
