"""Files of an image that are also near the manifest."""

from __future__ import annotations

import os.path
from collections.abc import Iterator
from typing import Final

_FOLDERS: Final = 4
"""Number of folders to search: the folder of the manifest, and folders above it."""
_SOURCES: Final = ("", "src")
"""Folders below these in which a repository has its Python packages."""
_MAX_BYTES: Final = 65_536
_ROOTS: Final = (".git", ".hg")
"""Names that mark the top folder of a repository. The search ends there."""


def text_near(manifest: str, path: str) -> str | None:
    """
    Return the text of a file of the image. None if no such text file is near the manifest.

    For example, the image has `/app/conf/gunicorn.conf.py`, and the repository has
    `conf/gunicorn.conf.py`. So each end of the path is tried, the longest one first, in the folder
    of the manifest and then in the folders above.

    Args:
        manifest: The file of the manifest, or `-` for standard input.
        path: Path of the file in the image.
    """
    if manifest == "-" or "\0" in path:
        return None
    return next((text for each in _places(manifest, path) if (text := _text(each))), None)


def source_near(manifest: str, module: str) -> str | None:
    """
    Return the source of a Python module of the image. None if it is not near the manifest.

    Args:
        manifest: The file of the manifest, or `-` for standard input.
        module: Name of the module, such as `shop.main`.
    """
    if manifest == "-" or not module:
        return None
    path = f"{module.replace('.', '/')}.py"
    folders = _folders(os.path.dirname(os.path.abspath(manifest)))
    places = (os.path.join(each, source, path) for each in folders for source in _SOURCES)
    return next((text for each in places if (text := _text(each))), None)


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
