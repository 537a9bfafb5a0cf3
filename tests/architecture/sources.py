"""The modules of a package as the rules see them: read, and never imported."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Module:
    """
    One file.

    Attributes:
        name: As it is imported.
        path: Where it is.
        lines: Its text.
        tree: What Python makes of it.
    """

    name: str
    path: Path
    lines: Sequence[str]
    tree: ast.Module

    @property
    def room(self) -> str:
        """The first folder below the package; of a file at the top, the file itself."""
        return ".".join(self.name.split(".")[:2])

    @property
    def is_empty(self) -> bool:
        """True if it says no more than what the folder is for."""
        return all(isinstance(each, ast.Expr) for each in self.tree.body)

    def at(self, node: ast.AST) -> str:
        """Say where something stands, as an editor opens it."""
        return f"{self.path}:{getattr(node, 'lineno', 1)}"


@dataclass(frozen=True)
class Imported:
    """
    One name of an import, wherever in the file it stands: types and imports in functions too.

    Attributes:
        source: The module, or the package, it is imported from.
        name: What of it, or nothing.
        node: Where.
    """

    source: str
    name: str
    node: ast.AST


def read(package: Path) -> list[Module]:
    """Read all modules of the package in a folder."""
    found = []
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        text = path.read_text(encoding="utf-8")
        found.append(Module(name, path, text.splitlines(), ast.parse(text, str(path))))
    return found


def imports(module: Module) -> Iterator[Imported]:
    """Yield what a module imports; ruff sees to it that none is relative."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            for each in node.names:
                yield Imported(each.name, "", node)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for each in node.names:
                yield Imported(node.module, each.name, node)
