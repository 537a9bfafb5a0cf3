"""The pictures of the documentation can be read on light and on dark, and load nothing."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, links, pages

PICTURES = sorted((ROOT / "docs" / "img").glob("*.svg"))
SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.stem)
def test_a_picture_is_readable_svg(picture: Path) -> None:
    """It is well-formed, has its text as text, a name for screen readers, and colours for dark."""
    text = picture.read_text(encoding="utf-8")
    root = ET.fromstring(text)

    assert root.tag == f"{SVG}svg"
    assert root.get("aria-label")
    assert len([each for each in root.iter() if (each.text or "").strip()]) > 5
    assert "prefers-color-scheme: dark" in text
    assert "href" not in text
    assert "url(" not in text


def test_each_picture_is_shown_on_a_page() -> None:
    """No picture is drawn for nothing."""
    shown = {Path(target).name for page in pages() for target in links(page)}

    assert {picture.name for picture in PICTURES} <= shown
