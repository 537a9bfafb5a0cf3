"""Addresses of the documentation, for messages. An installed package has no `docs/` folder."""

from __future__ import annotations

REPOSITORY = "https://github.com/OWNER/pod-lifecycle"
"""The address of the project. No other file under `lifecycle/` states it."""


def docs_page(name: str) -> str:
    """
    Return the address of a page of the documentation, as of the installed version.

    Args:
        name: File in `docs/`, with an anchor if wanted: `checks.md#settings`.
    """
    from lifecycle.version import VERSION  # imports `typing`, which an error may cost only

    return f"{REPOSITORY}/blob/v{VERSION}/docs/{name}"


def help_page(entry: str) -> str:
    """
    Return the address of the entry that explains a message.

    Args:
        entry: The anchor of an entry in `docs/troubleshooting.md`, a page in `docs/` with an
            anchor, or a whole address, which is returned as it is.
    """
    if "://" in entry:
        return entry
    return docs_page(entry if "#" in entry else f"troubleshooting.md#{entry}")
