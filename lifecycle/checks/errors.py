"""Errors before the check."""

from __future__ import annotations


class Unreadable(Exception):
    """A manifest cannot be read. The message has the place and the reason."""

    help_entry = "errors.md#unreadable-manifest"
    """The page about these errors. A report names it once."""
