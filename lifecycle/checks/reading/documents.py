"""Kubernetes objects from files and standard input."""

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
    A Kubernetes object and its file.

    Attributes:
        file: Name of the file as given by the user, or `-` for standard input.
        kind: Kind of the object, such as Deployment.
        node: The whole object.
        partial: Whether the object is a patch that needs a base. If None, its shape decides.
    """

    file: str
    kind: str
    node: Node
    partial: bool | None = None

    @property
    def group(self) -> str:
        """The API group. Empty for the core group, or if there is no apiVersion."""
        group, slash, _ = str(self.node.at("apiVersion").value).partition("/")
        return group if slash else ""

    @property
    def name(self) -> str:
        """Name of the object. A generated name ends with `*`."""
        metadata = self.node.at("metadata")
        return metadata.at("name").text() or f"{metadata.at('generateName').text()}*"

    @property
    def namespace(self) -> str:
        """Namespace of the object. Empty if there is none."""
        return self.node.at("metadata", "namespace").text()


@dataclass
class Reading:
    """
    The content of one file.

    Attributes:
        documents: The Kubernetes objects in the file.
        problems: Problems with parts that cannot be read. They do not hide the other parts.
        templates: Parts that are templates, which must be rendered first.
        passed_over: Kind of the file, if it has no Kubernetes object and is not broken.
        reason: Why the file is passed over.
    """

    documents: list[Document] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    templates: list[str] = field(default_factory=list)
    passed_over: Foreign | None = None
    reason: str = ""


def read(file: str, *, walked: bool = False) -> Reading:
    """
    Read a file or standard input.

    Args:
        file: Name of the file, or `-` for standard input.
        walked: Whether the file was found in a folder, so that it need not be a manifest.
    """
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
    Read the objects in a text of YAML or JSON documents. A list becomes its items.

    Args:
        text: The text.
        file: Name of the file, or `-` for standard input.
        walked: Whether the file was found in a folder. If so, only a text with a kind and an
            apiVersion counts as a manifest, and any other text may be broken.
    """
    found = Reading()
    if walked and not should_be_manifest(text) and os.path.basename(file) not in KUSTOMIZATIONS:
        found.passed_over, found.reason = foreign(text, file), "no kind and apiVersion"
        return found
    if file != STDIN and is_unrendered(text):  # the text from a pipe is rendered
        found.passed_over, found.reason = Foreign.TEMPLATE, f"the file is a template. {RENDER}"
        return found
    others = _documents(text, file, found)
    if file.endswith(".json") and not should_be_manifest(text):
        others, found.problems = [*found.problems, *others], []  # JSON with comments, for example
    if found.documents or found.problems:
        found.problems += others  # next to objects, each document should be an object
    elif found.templates:
        found.passed_over = Foreign.TEMPLATE
    else:
        found.passed_over = foreign(text, file)
        found.reason = others[0] if others else "the file is empty"
    return found


def _documents(text: str, file: str, found: Reading) -> list[str]:
    """Read the documents. Return why some of them are not Kubernetes objects."""
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
    """Move the objects that are templates of workloads out of the documents."""
    for each in [*found.documents]:
        if kind_of(each.group, each.kind) and is_template(each.node):
            found.documents.remove(each)
            found.templates.append(f"line {each.node.line}: the object is a template. {RENDER}")


def _foreign(node: Node) -> str:
    """Return why a value is not a Kubernetes object. Empty if it may be one."""
    if not isinstance(node.value, dict):
        return str(node.wrong("a Kubernetes object, a mapping with apiVersion and kind"))
    if not node.at("kind"):
        where = f"line {node.line}: " if node.line else f"{node.path}: "
        return f"{where}not a Kubernetes object, because it has no kind"
    if str(node.at("apiVersion").value).startswith(_KUSTOMIZE):
        return Foreign.KUSTOMIZATION.sentence
    return ""


def documents(text: str, file: str = STDIN) -> list[Document]:
    """
    Read the objects in a text. All of them must be readable.

    Args:
        text: The text.
        file: Name of the file, or `-` for standard input.

    Raises:
        Unreadable: An object is not readable, or there is no object.
    """
    found = parse(text, file)
    for problem in (*found.problems, *found.templates):
        raise Unreadable(problem)
    if found.passed_over:
        raise Unreadable(found.reason)
    return found.documents


def from_objects(objects: Iterable[Any], file: str = STDIN) -> list[Document]:
    """
    Make documents from complete objects in memory.

    Args:
        objects: The objects, as plain lists, dicts and scalars.
        file: Name of the file for findings.

    Raises:
        Unreadable: An item is not a Kubernetes object.
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
