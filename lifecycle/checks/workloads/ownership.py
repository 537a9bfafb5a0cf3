"""Objects that a cluster lists along with their owner: ReplicaSets and Pods of a Deployment."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Final

from lifecycle.checks.errors import Unreadable
from lifecycle.checks.node import Node
from lifecycle.checks.reading.documents import Document
from lifecycle.checks.reading.kinds import kind_of, templates

Key = tuple[str, str, str]


def made_by_others(documents: Sequence[Document]) -> set[int]:
    """
    Return the ids of documents that need no check, because another document represents them.

    - Objects whose owner was read too, such as the pods of a ReplicaSet.
    - Old ReplicaSets without replicas.
    - Pods whose owner was not read, except the first one of several that are alike.

    Args:
        documents: All objects of the run.
    """
    read = {_key(each) for each in documents if kind_of(each.group, each.kind)}
    alike: set[object] = set()
    found: set[int] = set()
    for each in documents:
        with suppress(Unreadable):
            owners = [*_owners(each)]
            if not owners:
                continue
            same = (_unnumbered(owners[0]), each.kind, _containers(each))
            old = _is_old(each)
            if old or not read.isdisjoint(owners) or same in alike:
                found.add(id(each))
            if not old:
                alike.add(same)
    return found


def _key(document: Document) -> Key:
    with suppress(Unreadable):
        return document.namespace, document.kind, document.name
    return "", "", ""


def _owners(document: Document) -> Iterator[Key]:
    """Give the owner of an object, and the owner of that owner if the object shows it."""
    metadata, namespace = document.node.at("metadata"), document.namespace
    for each in metadata.at("ownerReferences").each():
        if each.at("controller").value is not True:
            continue
        name = each.at("name").text()
        yield namespace, each.at("kind").text(), name
        for kind, label in _HASHES.items():
            mark = metadata.at("labels", label).shown()
            if mark and name.endswith(f"-{mark}"):
                yield namespace, kind, name.removesuffix(f"-{mark}")


def is_of_a_job(document: Document) -> bool:
    """Tell whether a Job made an object."""
    with suppress(Unreadable):
        return any(kind == "Job" for _, kind, _ in _owners(document))
    return False


def _unnumbered(owner: Key) -> Key:
    """Return an owner without a number in its name. A CronJob numbers its Jobs."""
    namespace, kind, name = owner
    return namespace, kind, re.sub(r"-\d+$", "", name) if kind == "Job" else name


def _is_old(document: Document) -> bool:
    return document.kind in _KEPT and document.node.at("spec", "replicas").value == 0


def _containers(document: Document) -> tuple[object, ...]:
    """Return names and images of containers. They distinguish pods with the same owner."""
    known = kind_of(document.group, document.kind)
    specs: list[Node] = []
    if known is not None:
        specs = [root.at(*path, "spec") for root, path in templates(document.node, known)]
    return tuple(
        (str(each.at("name").value), str(each.at("image").value))
        for spec in specs
        for each in spec.at("containers").each()
    )


_HASHES: Final = {"Deployment": "pod-template-hash", "Rollout": "rollouts-pod-template-hash"}
"""The label at the end of the names of a kind's ReplicaSets."""
_KEPT: Final = ("ReplicaSet", "ReplicationController")
"""Kinds that remain without replicas after a rollout, for a rollback."""
