"""Files and pipes become Kubernetes objects."""

from __future__ import annotations

import os.path
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Final

from lifecycle.checks.errors import Unreadable
from lifecycle.checks.node import Node, from_plain
from lifecycle.checks.reading.inputs import STDIN, NoText, nodes, text_of
from lifecycle.checks.reading.kinds import kind_of
from lifecycle.checks.reading.not_manifests import (
    KUSTOMIZATIONS,
    RENDER,
    TEMPLATED,
    Foreign,
    foreign,
    is_template,
    is_unrendered,
    may_be_template,
    should_be_manifest,
)
from lifecycle.checks.reading.placeholders import emptied
from lifecycle.checks.reading.wrappers import unwrapped, wrapper

_KUSTOMIZE: Final = "kustomize.config.k8s.io/"


@dataclass(frozen=True)
class Document:
    """
    One Kubernetes object, and the file that it is from.

    Attributes:
        file: As it was named; `-` for standard input.
        kind: Deployment, Service, …
        node: All of it.
        partial: Whether a base has to complete it; None if its shape must tell.
    """

    file: str
    kind: str
    node: Node
    partial: bool | None = None

    @property
    def group(self) -> str:
        """The API group; empty for the core's, or if it says none."""
        group, slash, _ = str(self.node.at("apiVersion").value).partition("/")
        return group if slash else ""

    @property
    def name(self) -> str:
        """Its name, or that it is generated."""
        metadata = self.node.at("metadata")
        return metadata.at("name").text() or f"{metadata.at('generateName').text()}*"

    @property
    def namespace(self) -> str:
        """Its namespace, if it says one."""
        return self.node.at("metadata", "namespace").text()


@dataclass
class Reading:
    """
    What one file holds.

    Attributes:
        documents: Its Kubernetes objects.
        problems: What in it cannot be read; it does not hide the others.
        templates: What in it is a template, which somebody has to render first.
        passed_over: What the file is, if it holds no Kubernetes object and is not broken.
        reason: Why it is passed over.
    """

    documents: list[Document] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    templates: list[str] = field(default_factory=list)
    passed_over: Foreign | None = None
    reason: str = ""


def read(file: str, *, walked: bool = False) -> Reading:
    """Read what a file, or standard input, holds; of a walked one nobody said that it is a manifest."""
    try:
        return parse(text_of(file), file, walked=walked)
    except NoText as error:
        if walked and not error.is_manifest:
            return Reading(passed_over=Foreign.OTHER, reason=str(error))
        return Reading(problems=[str(error)])
    except Unreadable as error:
        return Reading(problems=[str(error)])


def parse(text: str, file: str = STDIN, *, walked: bool = False) -> Reading:
    """
    Read the objects in a text: YAML or JSON, any number of documents; lists are opened.

    Args:
        text: What is read.
        file: As it was named.
        walked: Whether it was found in a folder. Then only what has a kind and an apiVersion
            should be a manifest, and something else may be broken.
    """
    found = Reading()
    if walked and not should_be_manifest(text) and os.path.basename(file) not in KUSTOMIZATIONS:
        found.passed_over, found.reason = foreign(text, file), "it has no kind and apiVersion"
        return found
    if file != STDIN and is_unrendered(text):  # a pipe brings what is rendered
        found.passed_over, found.reason = Foreign.TEMPLATE, f"it is a template. {RENDER}"
        return found
    others = _documents(text, file, found)
    if file.endswith(".json") and not should_be_manifest(text):
        others, found.problems = [*found.problems, *others], []  # JSON with comments, for example
    if found.documents or found.problems:
        found.problems += others  # beside objects it should be one
    elif found.templates:
        found.passed_over = Foreign.TEMPLATE
    else:
        found.passed_over = foreign(text, file)
        found.reason = others[0] if others else "it is empty"
    return found


def _documents(text: str, file: str, found: Reading) -> list[str]:
    """Read the documents, and return why some of them are no Kubernetes objects."""
    others = []
    templated = bool(TEMPLATED.search(text))
    for node in nodes(text, file):
        if isinstance(node, Unreadable):
            (found.templates if templated else found.problems).append(str(node))
        elif not node:
            continue
        elif reason := _foreign(node):
            others.append(reason)
        else:
            _open(node, file, found)
    if may_be_template(text):
        _leave_templates(found)
    if any(sign in text for sign in ("$", "#{", "__")):
        found.documents = [_without_placeholders(each) for each in found.documents]
    return others


def _without_placeholders(document: Document) -> Document:
    node = emptied(document.node)
    return document if node is document.node else replace(document, node=node, partial=True)


def _leave_templates(found: Reading) -> None:
    """Pass over what would make pods, and has yet to be filled in."""
    for each in [*found.documents]:
        if kind_of(each.group, each.kind) and is_template(each.node):
            found.documents.remove(each)
            found.templates.append(f"line {each.node.line}: it is a template. {RENDER}")


def _foreign(node: Node) -> str:
    """Say why a value is no Kubernetes object; nothing if it may be one."""
    if not isinstance(node.value, dict):
        return str(node.wrong("a Kubernetes object: a mapping with apiVersion and kind"))
    if not node.at("kind"):
        where = f"line {node.line}: " if node.line else f"{node.path}: "
        return f"{where}not a Kubernetes object: it has no kind"
    if str(node.at("apiVersion").value).startswith(_KUSTOMIZE):
        return Foreign.KUSTOMIZATION.sentence
    return ""


def documents(text: str, file: str = STDIN) -> list[Document]:
    """
    Read the objects in a text, all of which have to be readable.

    Raises:
        Unreadable: One is not; or there is none.
    """
    found = parse(text, file)
    for problem in (*found.problems, *found.templates):
        raise Unreadable(problem)
    if found.passed_over:
        raise Unreadable(found.reason)
    return found.documents


def from_objects(objects: Iterable[Any], file: str = STDIN) -> list[Document]:
    """
    Make documents of objects that are in memory: they are whole.

    Raises:
        Unreadable: One is no Kubernetes object.
    """
    found = Reading()
    for value in objects:
        _open(from_plain(value), file, found, partial=False)
    if found.problems:
        raise Unreadable(found.problems[0])
    return found.documents


def _open(
    node: Node, file: str, found: Reading, kind: str = "", *, partial: bool | None = None
) -> None:
    try:
        reason = "" if kind else _foreign(node)
        kind = kind if reason else node.at("kind").text() or kind
        inner = [] if reason else unwrapped(node, kind)
    except Unreadable as error:
        reason = str(error)
    if reason:
        found.problems.append(reason)
    elif not inner:
        found.documents.append(Document(file, kind, node, partial))
    else:
        for each, its_kind in inner:
            _open(each, file, found, its_kind, partial=partial)
        if rest := wrapper(node, kind):
            found.documents.append(Document(file, kind, rest, partial))
