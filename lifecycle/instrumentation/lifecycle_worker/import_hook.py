"""
An import hook that patches servers right after the code of their module has run.

One finder at the front of `sys.meta_path` asks the other finders, and wraps the loader. The real
loader is restored before the module's code runs, because reloaders and pickling look at it.
Tracebacks leave out the code that runs while a module is executed, as they do for importlib.
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
"""The modules that the patches do not support. Each one causes one warning."""


def install(patches: Mapping[str, tuple[str, str, str]]) -> None:
    """
    Patch the modules of a table when they are imported, and at once those that already are.

    Args:
        patches: A table like `servers.PATCHES`.
    """
    sys.meta_path.insert(0, Finder(patches))
    for name in patches:
        module = sys.modules.get(name)
        if module is not None:
            patch(module, *patches[name])


def patch(module: Any, file: str, function: str, server: str) -> None:
    """
    Patch a module that was executed. An error causes a warning.

    Args:
        module: The module.
        file: The file in `servers`.
        function: The function in that file.
        server: The name of the server, or "" if an import does not mean that the server will serve.
    """
    try:
        # As `from .servers import FILE`; importlib itself would cost more.
        servers = __import__("servers", globals(), None, [file], 1)
        getattr(getattr(servers, file), function)(module)
    except Exception as error:
        if module.__name__ in _unknown:  # it was executed again
            return
        _unknown.add(module.__name__)
        worker.complain(
            f"{module.__name__} is not supported in this version ({type(error).__name__}: {error})."
            " Its requests are not counted, and its keep-alive connections close without notice."
            f" Please report this version of {module.__name__.partition('.')[0]}"
        )
        worker.fails(server or file.partition("_")[0])
        return
    if server:
        worker.expects(server)


def _unseen(function: Any) -> Any:
    """Have a function left out of the traceback of a failing module, as importlib's are."""
    name = module_from_spec.__code__.co_filename
    function.__code__ = function.__code__.replace(co_filename=name)
    return function


class Finder:
    """
    Finds the modules of the table, with the help of the other finders.

    Args:
        patches: A table like `servers.PATCHES`.
    """

    def __init__(self, patches: Mapping[str, tuple[str, str, str]]) -> None:
        self._patches = patches

    @_unseen
    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """Find a module, and have it patched."""
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
    """A wrapper around a loader, until the module is executed."""

    def __init__(self, loader: Any, known: tuple[str, str, str]) -> None:
        self._loader = loader
        self._known = known

    def __getattr__(self, name: str) -> Any:
        if name == "_loader":  # while it is copied
            raise AttributeError(name)
        return getattr(self._loader, name)

    def create_module(self, spec: Any) -> Any:
        """Create the module as its loader does."""
        create = getattr(self._loader, "create_module", None)
        return create(spec) if create is not None else None

    @_unseen
    def exec_module(self, module: Any) -> None:
        """Execute the module, and patch it."""
        module.__loader__ = self._loader
        if getattr(module, "__spec__", None) is not None:
            module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        patch(sys.modules.get(module.__name__, module), *self._known)
