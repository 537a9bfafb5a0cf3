"""Files that an image is made of, as far as they are near the manifest."""

from __future__ import annotations

import os.path
from collections.abc import Iterator
from typing import Final

_FOLDERS: Final = 4
"""How many folders are looked into: the manifest's, and those above it."""
_MAX_BYTES: Final = 65_536
_ROOTS: Final = (".git", ".hg")
"""A folder that has one of these is the last one that is looked into."""


def text_near(manifest: str, path: str) -> str | None:
    """
    Return the text of a file of the image; None if it is not near the manifest, or is no text.

    Of `/app/conf/gunicorn.conf.py` the repository may have `conf/gunicorn.conf.py`: each end of the
    path is looked for, the longest first, in the manifest's folder and then above it.

    Args:
        manifest: The file of the manifest; `-` for standard input.
        path: As the command in the image says it.
    """
    if manifest == "-" or "\0" in path:
        return None
    return next((text for each in _places(manifest, path) if (text := _text(each))), None)


def _places(manifest: str, path: str) -> Iterator[str]:
    parts = [each for each in path.split("/") if each not in ("", ".", "..")]
    for folder in _folders(os.path.dirname(os.path.abspath(manifest))):
        for at in range(len(parts)):
            yield os.path.join(folder, *parts[at:])


def _folders(folder: str) -> Iterator[str]:
    for _ in range(_FOLDERS):
        yield folder
        above = os.path.dirname(folder)
        if above == folder or any(os.path.exists(os.path.join(folder, each)) for each in _ROOTS):
            return
        folder = above


def _text(path: str) -> str | None:
    try:
        if not os.path.isfile(path) or os.path.getsize(path) > _MAX_BYTES:
            return None
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (OSError, ValueError):
        return None
