"""Kustomizations: which files around them are patches, and the replicas that they set."""

from __future__ import annotations

import os.path
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from lifecycle.checks.errors import Unreadable
from lifecycle.checks.node import Node
from lifecycle.checks.reading.inputs import STDIN, text_of
from lifecycle.checks.reading.not_manifests import KUSTOMIZATIONS
from lifecycle.checks.reading.yaml_nodes import read_yaml

_ABOVE: Final = 2
"""Number of folders above a file to search, because a patch may be in `patches/`."""
_WHOLE: Final = ("resources", "bases", "crds")


class Kustomizations:
    """
    The kustomizations in the folders of the files, and in the folders above them.

    Attributes:
        replicas: The largest number of replicas in a kustomization, by name of the workload.
    """

    def __init__(self) -> None:
        self.replicas: dict[str, float] = {}
        self._named: dict[str, bool] = {}
        self._looked: set[str] = set()

    def is_patch(self, file: str) -> bool | None:
        """Tell whether a kustomization names a file as a patch. None if none names the file."""
        return None if file == STDIN else self._named.get(os.path.realpath(file))

    def look(self, file: str) -> None:
        """Read the kustomizations around a file."""
        folder = os.path.dirname(os.path.realpath(file))
        for _ in range(_ABOVE + 1 if file != STDIN else 0):
            self._look(folder)
            folder = os.path.dirname(folder)

    def _look(self, folder: str) -> None:
        if folder in self._looked:
            return
        self._looked.add(folder)
        for name in KUSTOMIZATIONS:
            file = os.path.join(folder, name)
            if not os.path.isfile(file):
                continue
            for node in _nodes(file):
                for each, is_patch in _names(node):
                    named = os.path.realpath(os.path.join(folder, each))
                    self._named[named] = is_patch or self._named.get(named, False)
                for workload, count in (*_replicas(node), *_patched(node, folder)):
                    self.replicas[workload] = max(count, self.replicas.get(workload, 0))


def _nodes(file: str) -> list[Node]:
    try:
        return [*_readable(text_of(file))]
    except Unreadable:
        return []


def _replicas(node: Node) -> Iterator[tuple[str, float]]:
    with suppress(Unreadable):
        for each in node.at("replicas").each():
            yield each.at("name").text(), each.at("count").number(1)


def _patched(node: Node, folder: str) -> Iterator[tuple[str, float]]:
    """Give the replicas in inline patches, and in patch files with a target."""
    for key in ("patches", "patchesJson6902"):
        held = node.value.get(key) if isinstance(node.value, dict) else None
        for each in held.value if held is not None and isinstance(held.value, list) else ():
            with suppress(Unreadable, ValueError):
                file = os.path.join(folder, each.at("path").text())
                patches = _nodes(file) if os.path.isfile(file) else []
                patches += [*_readable(each.at("patch").text())]
                name = each.at("target", "name").text()
                for patch in patches:
                    yield from _counts(patch, name)


def _counts(patch: Node, target: str) -> Iterator[tuple[str, float]]:
    if isinstance(patch.value, list):
        for each in patch.value:
            if each.at("path").value == "/spec/replicas":
                yield target, each.at("value").number(0)
    else:
        name = target or patch.at("metadata", "name").text()
        yield name, patch.at("spec", "replicas").number(0)


def _readable(text: str) -> Iterator[Node]:
    yield from (each for each in read_yaml(text) if isinstance(each, Node))


def _names(node: Node) -> Iterator[tuple[str, bool]]:
    for key in _WHOLE:
        yield from ((each, False) for each in _texts(node, key))
    yield from ((each, True) for each in _texts(node, "patchesStrategicMerge"))
    for key in ("patches", "patchesJson6902"):
        yield from ((each, True) for each in _texts(node, key, "path"))


def _texts(node: Node, *keys: str) -> list[str]:
    """Return the texts in a list, or under a key of its items. Other values are ignored."""
    items = node.value.get(keys[0]) if isinstance(node.value, dict) else None
    found = items.value if items is not None and isinstance(items.value, list) else []
    for key in keys[1:]:
        found = [
            each.value[key] for each in found if isinstance(each.value, dict) and key in each.value
        ]
    texts = [each.value for each in found if isinstance(each.value, str)]
    return [each for each in texts if "\n" not in each and "\0" not in each]
