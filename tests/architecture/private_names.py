"""
No room touches what is private to another: not by attribute, not by name in a string, not by import.

ruff's SLF001 sees the rest: what is private to another object in the same room, or to a library.
There it must be removed, or be given a reason.

Rules of this file:

1. Without types it is the name that tells whose it is: a private name belongs to the rooms that
   define it. A name that no room defines is a library's, and so is one that is reached through a
   library's module. `OF_LIBRARIES` has the few that a library and a room both have.
2. A private name is never imported, in its own room neither.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from tests.architecture.sources import Module, imports

ONESELF: Final = frozenset({"self", "cls"})
BY_NAME: Final = frozenset({"getattr", "setattr", "delattr", "hasattr"})
WITHOUT_REASON: Final = re.compile(r"#\s*noqa:[^-]*\bSLF001\b(?!.* - \w)")

OF_LIBRARIES: Final[Mapping[str, frozenset[str]]] = {
    "lifecycle.instrumentation.lifecycle_worker.stacks": frozenset(
        {"_tasks"}
    ),  # asyncio's, anyio's
    "lifecycle.instrumentation.lifecycle_worker.standing": frozenset({"_active"}),  # threading's
    "lifecycle.process.app_signal_handlers": frozenset({"_run"}),  # asyncio's Handle
}
"""Private names of a library that a room of ours has too, by the module that needs them."""


def is_private(name: str) -> bool:
    """Tell a name that its owner keeps to himself; Python's own `__names__` are none."""
    return name.startswith("_") and name != "_" and not name.endswith("__")


def trespasses(modules: Sequence[Module]) -> Iterator[str]:
    """Yield where a private name of another room is touched."""
    owners = _owners(modules)
    roots = _roots(modules)
    for module in modules:
        known = OF_LIBRARIES.get(module.name, frozenset())
        for name, node in _touched(module, roots):
            others = owners.get(name, set())
            if others and module.room not in others and name not in known:
                yield f"{module.at(node)}: {name} is private to {', '.join(sorted(others))}"
        for each in imports(module):
            parts = [*each.source.split("."), each.name]
            if parts[0] in roots and any(map(is_private, parts)):
                whole = ".".join(parts).rstrip(".")
                yield f"{module.at(each.node)}: {whole} is private, and is imported"


def unreasoned(modules: Sequence[Module]) -> Iterator[str]:
    """Yield where ruff is silenced about a private name, and no reason is given."""
    for module in modules:
        for number, line in enumerate(module.lines, 1):
            if WITHOUT_REASON.search(line):
                yield f"{module.path}:{number}: say why, as in `# noqa: SLF001 - asyncio has no other`"


def beside_the_api(
    plugins: Sequence[Module], facade: Module, public: frozenset[str]
) -> Iterator[str]:
    """
    Yield where a plugin uses of the core what is not public.

    Args:
        plugins: The plugins' modules.
        facade: The package's own module, whose `__all__` is public.
        public: The other modules that are.
    """
    root = facade.name
    names = _exported(facade) | {each.removeprefix(f"{root}.") for each in public}
    for module in plugins:
        for each in imports(module):
            whole = f"{each.source}.{each.name}".rstrip(".")
            inside = each.source == root and (not each.name or each.name in names)
            if each.source.split(".")[0] == root and not inside and each.source not in public:
                yield f"{module.at(each.node)}: {whole} is not public"
        for node in ast.walk(module.tree):
            if (
                isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Name)
                and node.value.id == root
                and node.attr not in names
            ):
                yield f"{module.at(node)}: {root}.{node.attr} is not public"


def _roots(modules: Sequence[Module]) -> set[str]:
    return {each.name.split(".")[0] for each in modules}


def _exported(facade: Module) -> set[str]:
    for node in facade.tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return set(ast.literal_eval(node.value))
    raise ValueError(f"{facade.path}: has no __all__")


def _owners(modules: Sequence[Module]) -> Mapping[str, set[str]]:
    """Find out which rooms define a private name."""
    owners: dict[str, set[str]] = {}
    for module in modules:
        for name in filter(is_private, _defined(module)):
            owners.setdefault(name, set()).add(module.room)
    return owners


def _defined(module: Module) -> Iterator[str]:
    for node in ast.walk(module.tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name
            case ast.ClassDef(name=name, body=body):
                yield name
                for each in body:
                    if isinstance(each, ast.Assign) and ast.unparse(each.targets[0]) == "__slots__":
                        slots = ast.literal_eval(each.value)
                        yield from (slots,) if isinstance(slots, str) else slots
            case ast.Name(id=name, ctx=ast.Store()):
                yield name
            case ast.Attribute(attr=name, ctx=ast.Store(), value=ast.Name(id=owner)):
                if owner in ONESELF:
                    yield name


def _touched(module: Module, roots: set[str]) -> Iterator[tuple[str, ast.AST]]:
    """Yield the private names that are read or written, but for those of a library's module."""
    foreign = {
        (each.asname or each.name).split(".")[0]
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Import)
        for each in node.names
        if each.name.split(".")[0] not in roots
    }
    for node in ast.walk(module.tree):
        match node:
            case ast.Attribute(attr=name) if is_private(name):
                if ast.unparse(node).split(".")[0] not in foreign:
                    yield name, node
            case ast.Call(func=ast.Name(id=by), args=[_, ast.Constant(value=str(name)), *_]):
                if by in BY_NAME and is_private(name):
                    yield name, node
