"""Addresses of the documentation, for messages. An installed package has no `docs/` folder."""

from __future__ import annotations

from lifecycle.version import VERSION

REPOSITORY = "https://github.com/OWNER/pod-lifecycle"
"""The address of the project. No other file under `lifecycle/` states it."""


def docs_page(name: str) -> str:
    """
    Return the address of a page of the documentation, as of the installed version.

    Args:
        name: File in `docs/`, with an anchor if wanted: `checks.md#settings`.
    """
    return f"{REPOSITORY}/blob/v{VERSION}/docs/{name}"
