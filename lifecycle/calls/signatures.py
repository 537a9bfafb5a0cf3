"""Which arguments a function of the app needs: the `Lifecycle`, none, or unknown ones."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any


def needed(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """
    Return the parameters that must be given.

    Raises:
        ValueError: The parameters are unknown, as for some functions in C.
    """
    open_ended = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [
        each
        for each in inspect.signature(function).parameters.values()
        if each.default is each.empty and each.kind not in open_ended
    ]


def one_or_none(parameters: list[inspect.Parameter]) -> bool:
    """Return True if a call with at most one argument is enough."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return len(parameters) <= 1 and all(each.kind in kinds for each in parameters)
