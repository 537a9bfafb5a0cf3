"""
How a server is changed: each name that is needed of it is asked for here, and must be there.

So a version on which one has moved is noticed when it is imported, not at the first request.
"""

from __future__ import annotations

TYPE_CHECKING = False  # importing typing costs as much as all the rest
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class Moved(Exception):
    """A name that is needed is not there."""


def seam(owner: Any, path: str) -> Any:
    """
    Return what has a name, `Config.load`, in a module or class.

    Raises:
        Moved: There is nothing of this name.
    """
    found = owner
    for name in path.split("."):
        found = getattr(found, name, None)
        if found is None:
            raise Moved(f"no {path}")
    return found


def wrap(owner: Any, path: str, make: Callable[[Any], Any]) -> None:
    """
    Put something around a function, which then has its name and signature.

    Args:
        owner: A module or class.
        path: The function's name, `Config.load`.
        make: Called with the function, returns what takes its place.

    Raises:
        Moved: There is nothing of this name.
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
    See that a function uses names: attributes that are made where it runs, and not before.

    Raises:
        Moved: It does not use one of them.
    """
    code = getattr(function, "__wrapped__", function).__code__
    known = {*code.co_names, *code.co_varnames, *code.co_freevars, *code.co_cellvars}
    known |= {each for each in code.co_consts if isinstance(each, str)}
    missing = [name for name in names if name not in known]
    if missing:
        raise Moved(f"no {', '.join(missing)} in {function.__qualname__}")
