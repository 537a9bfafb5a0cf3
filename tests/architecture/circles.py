"""No module knows itself by way of others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from graphlib import CycleError, TopologicalSorter

from tests.architecture.sources import Module, imports


def circles(modules: Sequence[Module]) -> Iterator[str]:
    """Yield a circle of imports, if there is one; imports for types count."""
    names = {each.name for each in modules}
    graph = {}
    for each in modules:
        found = ((one.source, f"{one.source}.{one.name}") for one in imports(each))
        known = {whole if whole in names else source for source, whole in found}
        graph[each.name] = sorted((known & names) - {each.name})
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        # graphlib names them from the imported one to the one that imports it.
        yield f"a circle of imports: {' -> '.join(reversed(error.args[1]))}"
