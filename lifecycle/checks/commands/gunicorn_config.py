"""Settings from simple assignments in the configuration file of gunicorn."""

from __future__ import annotations

import ast
import operator
import posixpath
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

MAX_CHARACTERS: Final = 65_536
"""Longest file that is read, in characters."""
DEFAULT: Final = "gunicorn.conf.py"
"""The file in the working directory that gunicorn reads by default."""

_OPERATORS: Final[Mapping[type[ast.operator], Callable[[Any, Any], Any]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
}
_FUNCTIONS: Final[Mapping[str, Callable[..., Any]]] = {
    "int": int, "str": str, "float": float, "bool": bool, "min": min, "max": max,
}  # fmt: skip
_CPUS: Final = ("cpu_count", "process_cpu_count")
_MOST: Final = 1_000_000
"""Largest number that is computed."""


class _Unknown(Exception):
    """The file does not show the value of an expression."""


def path_of(said: Sequence[str]) -> str:
    """
    Return the path of the configuration file. Empty for a Python module.

    Args:
        said: The values of `-c` and `--config`. The first value counts.
    """
    name = next(iter(said), "")
    if name.startswith("python:") or "$" in name:
        return ""
    return posixpath.normpath(name.removeprefix("file:")) if name else ""


def settings_of(text: str, value: Callable[[str], str | None]) -> dict[str, str]:
    """
    Return the settings in a configuration file as texts, by name.

    Settings with an unknown value are left out. `cpu_count()` counts as 1, the smallest value.

    Args:
        text: Text of the file.
        value: Returns the value of an environment variable. None if not set or not known.
    """
    try:
        body = ast.parse(text[:MAX_CHARACTERS]).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    known: dict[str, Any] = {}
    for statement in body:
        for name in _assigned(statement):
            known.pop(name, None)
            expression = getattr(statement, "value", None)
            try:
                if isinstance(statement, (ast.Assign, ast.AnnAssign)) and expression is not None:
                    known[name] = _value(expression, known, value)
            except (_Unknown, ValueError, TypeError, ArithmeticError, RecursionError):
                continue
    shown = {name: _text(found) for name, found in known.items()}
    return {name: each for name, each in shown.items() if each is not None}


def _assigned(statement: ast.stmt) -> list[str]:
    """Return all names that a statement may set."""
    return [
        each.id
        for each in ast.walk(statement)
        if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)
    ]


def _text(found: Any) -> str | None:
    if isinstance(found, (bool, int, float, str)):
        return str(found)
    if isinstance(found, (list, tuple)) and all(isinstance(each, str) for each in found):
        return ",".join(found)
    return None


Lookup = Callable[[str], str | None]


def _value(expression: ast.expr, known: Mapping[str, Any], value: Lookup) -> Any:
    if isinstance(expression, ast.Constant):
        return expression.value
    if isinstance(expression, ast.Name) and expression.id in known:
        return known[expression.id]
    of = partial(_value, known=known, value=value)
    combined = _combined(expression, of)
    if combined is not None:
        return combined
    match expression:
        case ast.Subscript(value=where, slice=key) if _last_name(where) == "environ":
            return _required(value(of(key)))
        case ast.Call(func=called, args=arguments, keywords=[]):
            return _called(called, [of(each) for each in arguments], value)
    raise _Unknown


def _combined(expression: ast.expr, of: Callable[[ast.expr], Any]) -> Any:
    """Return the value of a list, an operation or a text. None for other expressions."""
    match expression:
        case ast.List(elts=parts) | ast.Tuple(elts=parts):
            return [of(each) for each in parts]
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _computed(_OPERATORS[type(op)], of(left), of(right))
        case ast.BoolOp(op=ast.Or(), values=parts):
            return next((found for each in parts if (found := of(each))), of(parts[-1]))
        case ast.JoinedStr(values=parts):
            return "".join(str(of(each)) for each in parts)
        case ast.FormattedValue(value=inner, conversion=-1, format_spec=None):
            return of(inner)
    return None


def _computed(compute: Callable[[Any, Any], Any], left: Any, right: Any) -> Any:
    if compute is not operator.add and not all(isinstance(x, (int, float)) for x in (left, right)):
        raise _Unknown
    found = compute(left, right)
    if isinstance(found, (int, float)) and abs(found) > _MOST:
        raise _Unknown
    return found


def _called(called: ast.expr, arguments: list[Any], value: Lookup) -> Any:
    name = _last_name(called)
    if name in _CPUS:
        return 1
    of_environ = isinstance(called, ast.Attribute) and _last_name(called.value) == "environ"
    if (name == "getenv" or (name == "get" and of_environ)) and arguments:
        found = value(str(arguments[0]))
        return arguments[1] if found is None and len(arguments) > 1 else found
    if name in _FUNCTIONS and isinstance(called, ast.Name) and arguments:
        return _FUNCTIONS[name](*arguments)
    raise _Unknown


def _required(found: str | None) -> str:
    if found is None:
        raise _Unknown
    return found


def _last_name(expression: ast.expr) -> str:
    """Return the last part of a name such as `os.environ`. Empty for other expressions."""
    if isinstance(expression, ast.Attribute):
        return expression.attr
    return expression.id if isinstance(expression, ast.Name) else ""
