"""A patch is judged by what it says alone."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from lifecycle.checks.check import check
from lifecycle.checks.errors import Unreadable
from lifecycle.checks.reading.documents import Document, documents, from_objects
from lifecycle.checks.reading.kinds import kind_of
from tests.checks.styles import STYLES
from tests.checks.test_shapes import FILES


def _wholes() -> list[dict[str, Any]]:
    texts = [text for _, text, _ in STYLES] + [file.read_text() for file in FILES]
    found = []
    for text in texts:
        try:
            read = documents(text)
        except Unreadable:
            continue
        found += [
            {"kind": each.kind, **each.node.plain()}
            for each in read
            if kind_of(each.group, each.kind) and each.partial is None
        ]
    return found


WHOLES = _wholes()
KEPT = (
    *("apiVersion", "kind", "metadata", "name", "template", "containers", "jobTemplate"),
    *(
        "annotations",
        "shareProcessNamespace",
        "hostPID",
        "image",
    ),  # what excuses others is not guessed
)


def findings(read: list[Document]) -> set[tuple[str, str]]:
    found, unreadable = check(read)
    assert unreadable == {}
    return {(each.rule.name, each.path) for each in found}


def fewer(value: Any, draw: Any, key: str = "") -> Any:
    """Leave out keys, and keep the items of lists, by which patches find what they change."""
    if isinstance(value, dict) and key != "annotations":
        return {
            name: fewer(each, draw, name)
            for name, each in value.items()
            if name in KEPT or draw(st.booleans())
        }
    if isinstance(value, list) and key == "containers":
        return [fewer(each, draw) for each in value]
    return value


@settings(deadline=None, max_examples=150)
@given(whole=st.sampled_from(WHOLES), data=st.data())
def test_a_part_says_no_more_than_the_whole(whole: dict[str, Any], data: st.DataObject) -> None:
    """Whatever is left out of a manifest, nothing is found in the rest that is not so in the whole."""
    part = {**fewer(whole, data.draw), "$patch": "merge"}

    assert findings(documents(json.dumps(part))) <= findings(from_objects([whole]))
