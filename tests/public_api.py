"""What the source of a plugin takes from pod-lifecycle that is not public."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import lifecycle


def beyond_the_public_api(module: str) -> set[str]:
    """
    Return what a module uses of pod-lifecycle, except `import lifecycle` and its public names.

    Args:
        module: The name of the module.
    """
    file = Path(str(importlib.import_module(module).__file__))
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names=names):
                found |= {each.name for each in names if each.name.startswith("lifecycle.")}
            case ast.ImportFrom(module=str(name)) if name.partition(".")[0] == "lifecycle":
                found.add(f"from {name}")
            case ast.Attribute(value=ast.Name(id="lifecycle"), attr=name):
                found |= {f"lifecycle.{name}"} - {f"lifecycle.{each}" for each in lifecycle.__all__}
    return found
