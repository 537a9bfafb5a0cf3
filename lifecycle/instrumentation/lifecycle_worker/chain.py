"""
Other sitecustomize modules, and which child processes load the instrumentation: by PYTHONPATH.

Rules of this file:

1. The sitecustomize that ours hides is run too, for example that of Debian or of an agent.
2. Processes that this process starts load the instrumentation. Our folder is put first, whatever an
   agent does to the path. `opentelemetry-instrument` puts its own folder first, runs the command by
   exec, and does not run the next sitecustomize.
3. Once this process serves, or a server loads the app, the processes that it starts belong to the
   app and do not load the instrumentation. There are two exceptions. If this process itself becomes
   another program (a reloader that uses exec), it stays the same worker. If a master that does not
   serve does that, it is the next master.
"""

from __future__ import annotations

import os
import sys
from _frozen_importlib import module_from_spec  # importlib itself costs more
from _frozen_importlib_external import PathFinder

from .board import VARIABLE
from .worker import warn, worker

TYPE_CHECKING = False  # importing typing costs as much as all the rest
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

NAME = "sitecustomize"
PATH = "PYTHONPATH"


def run_next(folder: str) -> None:
    """
    Run the next sitecustomize on the path, as the interpreter would without ours.

    Args:
        folder: The folder of our sitecustomize.
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
    """Return the part of the path after a folder. The part before it has been searched."""
    ours = [index for index, each in enumerate(path) if os.path.abspath(each) == folder]
    first = ours[0] if ours else -1
    return [each for index, each in enumerate(path) if index > first and index not in ours]


class Heirs:
    """
    Decides which processes that this process starts load the instrumentation.

    Args:
        folder: The folder of our sitecustomize.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._left = self._served = False

    def keep(self) -> None:
        """Have all processes started from now on load the instrumentation, until `leave`."""
        path = os.environ.get(PATH, "")
        if not self._left and VARIABLE in os.environ and self._first(path) != path:
            os.environ[PATH] = self._first(path)

    def serve(self) -> None:
        """Call `leave`, because this process serves. A fork that runs exec is the app's."""
        self._served = True
        self.leave()

    def leave(self) -> None:
        """Have no process started from now on load the instrumentation."""
        if self._left:
            return
        self._left = True
        others = self._others(os.environ.get(PATH, ""))
        if others:
            os.environ[PATH] = os.pathsep.join(others)
        else:
            os.environ.pop(PATH, None)

    def watch_exec(self) -> None:
        """Have programs load the instrumentation that this process becomes, or spawns with `os`."""
        for name, make in (
            ("execv", self._execv),
            ("execve", self._execve),
            ("posix_spawn", self._spawn),
            ("posix_spawnp", self._spawn),
        ):
            self._wrap(name, make)

    def _wrap(self, name: str, make: Callable[[Any], Any]) -> None:
        was = getattr(os, name, None)
        if was is not None:
            made = make(was)
            made.__name__ = made.__qualname__ = name
            made.__doc__, made.__wrapped__ = was.__doc__, was
            setattr(os, name, made)

    def _execv(self, execv: Any) -> Callable[[Any, Any], Any]:
        def with_ours(path: Any, argv: Any, /) -> Any:
            environment = self._after_exec(os.environ)
            if environment is os.environ:
                return execv(path, argv)
            return os.execve(path, argv, environment)  # noqa: S606 - as the caller wants it

        return with_ours

    def _execve(self, execve: Any) -> Callable[[Any, Any, Any], Any]:
        def with_ours(path: Any, argv: Any, env: Any) -> Any:
            return execve(path, argv, self._after_exec(env))

        return with_ours

    def _spawn(self, spawn: Any) -> Callable[..., Any]:
        def with_ours(path: Any, argv: Any, env: Any, **named: Any) -> Any:
            return spawn(path, argv, env if self._left else self._with_ours(env), **named)

        return with_ours

    def _after_exec(self, environment: Any) -> Any:
        is_child_of_what_serves = self._served and worker.slot is None
        return environment if is_child_of_what_serves else self._with_ours(environment)

    def _with_ours(self, environment: Any) -> Any:
        """Return an environment with our folder first on the path, or unchanged if not needed."""
        try:
            path = environment.get(PATH, "")
            if VARIABLE not in environment or self._first(path) == path:
                return environment
            return {**environment, PATH: self._first(path)}
        except (AttributeError, TypeError):  # of bytes, or no environment: not ours to mend
            return environment

    def _first(self, path: str) -> str:
        return os.pathsep.join([self._folder, *self._others(path)])

    def _others(self, path: str) -> list[str]:
        each_of = path.split(os.pathsep) if path else []
        return [each for each in each_of if not each or os.path.abspath(each) != self._folder]
