"""
The Lua scripts that run in the server.

A script runs as a whole, so no other client can write between its comparison and its change.
"""

from __future__ import annotations

import os


def script(name: str) -> str:
    """Return the text of a script."""
    path = os.path.join(os.path.dirname(__file__), f"{name}.lua")
    with open(path, encoding="utf-8") as file:
        return file.read()
