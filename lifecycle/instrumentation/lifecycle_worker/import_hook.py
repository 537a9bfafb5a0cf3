"""
Servers are changed when they are imported: right after their module's code has run.

One finder at the front of `sys.meta_path` asks the others, and puts itself around the loader.
The real loader is back before the module's code runs: reloaders and pickling look at it. What
runs while a module is executed is a part of importlib to tracebacks, which leave it out.
"""

from __future__ import annotations

import sys
from _frozen_importlib import module_from_spec  # importlib itself costs more

from .worker import worker

TYPE_CHECKING = False  # importing typing costs as much as all the rest
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


_unknown: set[str] = set()
"""The modules that are not as known: each is one warning."""


def install(patches: Mapping[str, tuple[str, str, str]]) -> None:
    """
    Change the modules of a table when they are imported, and at once those that are.

    Args:
        patches: As `servers.PATCHES`.
    """
    sys.meta_path.insert(0, Finder(patches))
    for name in patches:
        module = sys.modules.get(name)
        if module is not None:
            patch(module, *patches[name])


def patch(module: Any, file: str, function: str, server: str) -> None:
    """
    Change a module that was executed. What goes wrong is a warning.

    Args:
        module: It.
        file: Of `servers`.
        function: In that file.
        server: Its name; empty if the import alone does not mean that it is going to serve.
    """
    try:
        # As `from .servers import FILE`; importlib itself would cost more.
        servers = __import__("servers", globals(), None, [file], 1)
        getattr(getattr(servers, file), function)(module)
    except Exception as error:
        if module.__name__ in _unknown:  # it was executed anew
            return
        _unknown.add(module.__name__)
        worker.complain(
            f"{module.__name__} is not as known ({type(error).__name__}: {error}):"
            " its requests are not counted, and its clients not told to go."
            f" Please report this version of {module.__name__.partition('.')[0]}"
        )
        worker.fails(server or file.partition("_")[0])
        return
    if server:
        worker.expects(server)


def _unseen(function: Any) -> Any:
    """Have a function be left out of the traceback of a module that fails, as importlib's are."""
    name = module_from_spec.__code__.co_filename
    function.__code__ = function.__code__.replace(co_filename=name)
    return function


class Finder:
    """
    Finds what is in the table, by way of the other finders.

    Args:
        patches: As `servers.PATCHES`.
    """

    def __init__(self, patches: Mapping[str, tuple[str, str, str]]) -> None:
        self._patches = patches

    @_unseen
    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """Find a module, and see that it is changed."""
        if name not in self._patches:
            return None
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            spec = None if finder is self or find is None else find(name, path, target)
            if spec is not None:
                if hasattr(spec.loader, "exec_module"):
                    spec.loader = _Loader(spec.loader, self._patches[name])
                return spec
        return None


class _Loader:
    """Stands around a loader until the module is executed."""

    def __init__(self, loader: Any, known: tuple[str, str, str]) -> None:
        self._loader = loader
        self._known = known

    def __getattr__(self, name: str) -> Any:
        if name == "_loader":  # while it is copied
            raise AttributeError(name)
        return getattr(self._loader, name)

    def create_module(self, spec: Any) -> Any:
        """Create it as its loader does."""
        create = getattr(self._loader, "create_module", None)
        return create(spec) if create is not None else None

    @_unseen
    def exec_module(self, module: Any) -> None:
        """Execute it, and change it."""
        module.__loader__ = self._loader
        if getattr(module, "__spec__", None) is not None:
            module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        patch(sys.modules.get(module.__name__, module), *self._known)
