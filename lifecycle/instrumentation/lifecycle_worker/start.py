"""The start of a worker: at its interpreter's, before anything of the app is imported."""

from __future__ import annotations

import os
import sys

from .board import VARIABLE, NoBoard
from .worker import warn, worker

TYPE_CHECKING = False  # importing typing costs as much as all the rest
if TYPE_CHECKING:
    from collections.abc import Callable

_FLAG = "_lifecycle_worker"
"""In `sys`: another sitecustomize may hand on to ours, and then it runs twice."""


def start(folder: str) -> Callable[[], None]:
    """
    Open the board and watch for servers, unless that is done.

    Args:
        folder: Where our sitecustomize is.

    Returns:
        What runs the next sitecustomize.
    """
    from . import chain

    path = os.environ.get(VARIABLE)
    if path and not hasattr(sys, _FLAG):
        setattr(sys, _FLAG, True)
        open_board(path)
    return lambda: chain.run_next(folder)


def open_board(path: str) -> None:
    """Open the board, and watch for servers; a warning says why not."""
    try:
        worker.open(path)
    except NoBoard as error:
        warn(f"this process is not counted: {error}{_remedy(path)}")
        return
    from . import import_hook
    from .servers import PATCHES

    import_hook.install(PATCHES)


def _remedy(path: str) -> str:
    try:
        owner = os.stat(path).st_uid
    except OSError:
        return ""
    if owner == os.geteuid():
        return ""
    return (
        f". It runs as uid {os.geteuid()}, and lifecycle as uid {owner}:"
        " start lifecycle as that user (runAsUser), not the server"
    )
