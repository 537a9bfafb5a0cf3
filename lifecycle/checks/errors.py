"""What can go wrong before anything is checked."""

from __future__ import annotations


class Unreadable(Exception):
    """A manifest cannot be read; the message says where and why."""
