"""Which arguments a function of the app's needs: the lifecycle, none, or some that nobody gives it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any


def needed(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """
    Return the parameters that must be given.

    Raises:
        ValueError: Nobody knows: some functions that are written in C do not say.
    """
    open_ended = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [
        each
        for each in inspect.signature(function).parameters.values()
        if each.default is each.empty and each.kind not in open_ended
    ]


def one_or_none(parameters: list[inspect.Parameter]) -> bool:
    """Tell whether they can all be given by one argument, or by none."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return len(parameters) <= 1 and all(each.kind in kinds for each in parameters)
