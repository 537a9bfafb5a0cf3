"""The start of a worker, at its interpreter's start, before anything of the app is imported."""

from __future__ import annotations

import os
import sys

from .board import VARIABLE, NoBoard
from .worker import warn, worker

TYPE_CHECKING = False  # importing typing costs as much as all the rest
if TYPE_CHECKING:
    from collections.abc import Callable

_FLAG = "_lifecycle_worker"
"""A name in `sys`. If another sitecustomize runs ours again, the second run is noticed."""


def start(folder: str) -> Callable[[], None]:
    """
    Open the board and install the import hook, unless this was done before.

    Args:
        folder: The folder of our sitecustomize.

    Returns:
        The function that runs the next sitecustomize.
    """
    from . import chain

    path = os.environ.get(VARIABLE)
    if not path or hasattr(sys, _FLAG):
        return lambda: chain.run_next(folder)
    setattr(sys, _FLAG, True)
    heirs = chain.Heirs(folder)
    if open_board(path):
        worker.on_serving = heirs.serve
        worker.on_loading = heirs.leave
        heirs.watch_exec()

    def run_next() -> None:
        try:
            chain.run_next(folder)
        finally:
            heirs.keep()

    return run_next


def open_board(path: str) -> bool:
    """Open the board, and install the import hook. On an error, warn and return False."""
    try:
        worker.open(path)
    except NoBoard as error:
        warn(f"this process is not counted: {error}{_remedy(path)}")
        return False
    from . import import_hook
    from .servers import PATCHES

    import_hook.install(PATCHES)
    return True


def _remedy(path: str) -> str:
    try:
        owner = os.stat(path).st_uid
    except OSError:
        return ""
    if owner == os.geteuid():
        return ""
    return (
        f". This process runs as uid {os.geteuid()}, and lifecycle as uid {owner}."
        " Start lifecycle as the user of this process (runAsUser)"
    )
