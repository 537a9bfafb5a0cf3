"""The sitecustomize that ours hides is run too: Debian's, coverage's, an agent's."""

from __future__ import annotations

import os
import sys
from _frozen_importlib import module_from_spec  # importlib itself costs more
from _frozen_importlib_external import PathFinder

from .worker import warn

NAME = "sitecustomize"


def run_next(folder: str) -> None:
    """
    Run the next sitecustomize on the path, as the interpreter would without ours.

    Args:
        folder: Where ours is.
    """
    behind = _behind(folder, sys.path)
    spec = PathFinder.find_spec(NAME, behind)
    if spec is None or spec.loader is None:
        return
    module = module_from_spec(spec)
    before = sys.modules.get(NAME)
    sys.modules[NAME] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        if before is not None:
            sys.modules[NAME] = before
        warn(f"error in {spec.origin}: {type(error).__name__}: {error}")


def _behind(folder: str, path: list[str]) -> list[str]:
    """Return what comes on the path behind a folder: what is before it has had its turn."""
    ours = [index for index, each in enumerate(path) if os.path.abspath(each) == folder]
    first = ours[0] if ours else -1
    return [each for index, each in enumerate(path) if index > first and index not in ours]
