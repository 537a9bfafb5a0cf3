"""
Patching of a server. Each name that a patch needs is looked up here, and must exist.

A version of the server that has moved a name is noticed at the import, not at a request.
"""

from __future__ import annotations

TYPE_CHECKING = False  # importing typing costs as much as all the rest
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class Moved(Exception):
    """A needed name does not exist."""


def seam(owner: Any, path: str) -> Any:
    """
    Return the object with a dotted name, such as `Config.load`, in a module or class.

    Raises:
        Moved: There is no such name.
    """
    found = owner
    for name in path.split("."):
        found = getattr(found, name, None)
        if found is None:
            raise Moved(f"no {path}")
    return found


def wrap(owner: Any, path: str, make: Callable[[Any], Any]) -> None:
    """
    Wrap a function. The wrapper gets its name and signature.

    Args:
        owner: A module or class.
        path: The name of the function, such as `Config.load`.
        make: Called with the function. Returns the wrapper.

    Raises:
        Moved: There is no such name.
    """
    was = seam(owner, path)
    *way, name = path.split(".")
    for each in way:
        owner = getattr(owner, each)
    made = make(was)
    for each in ("__module__", "__name__", "__qualname__", "__doc__"):
        try:
            setattr(made, each, getattr(was, each))
        except (AttributeError, TypeError):
            pass
    made.__wrapped__ = was
    setattr(owner, name, made)


def needs(function: Any, *names: str) -> None:
    """
    Check that a function uses some names: attributes that exist only while it runs.

    Raises:
        Moved: The function does not use one of them.
    """
    code = getattr(function, "__wrapped__", function).__code__
    known = {*code.co_names, *code.co_varnames, *code.co_freevars, *code.co_cellvars}
    known |= {each for each in code.co_consts if isinstance(each, str)}
    missing = [name for name in names if name not in known]
    if missing:
        raise Moved(f"no {', '.join(missing)} in {function.__qualname__}")
