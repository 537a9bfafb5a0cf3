"""The address of the project, and of its pages."""

from __future__ import annotations

import re

from lifecycle.links import REPOSITORY, docs_page
from lifecycle.version import VERSION
from tests.docs.pages import ROOT, pages


def test_a_page_is_that_of_this_version() -> None:
    """A link in a message opens the page that was written for the installed version."""
    assert (
        docs_page("checks.md#settings") == f"{REPOSITORY}/blob/v{VERSION}/docs/checks.md#settings"
    )


def test_the_address_is_stated_once() -> None:
    """The code has the address in one place, and the pages have the same one."""
    stated = [
        (path.name, found)
        for path in [*(ROOT / "lifecycle").rglob("*.py"), *pages()]
        for found in re.findall(
            r"https://github\.com/[\w-]+/pod-lifecycle\b", path.read_text(encoding="utf-8")
        )
    ]

    assert {found for _, found in stated} == {REPOSITORY}
    assert [name for name, _ in stated if name.endswith(".py")] == ["links.py"]
