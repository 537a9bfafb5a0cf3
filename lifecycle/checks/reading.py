"""Files and pipes become Kubernetes objects."""

from __future__ import annotations

import codecs
import json
import os.path
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from lifecycle.checks.errors import Unreadable
from lifecycle.checks.node import Node, from_plain
from lifecycle.checks.yaml_nodes import read_yaml

MAX_BYTES: Final = 16 * 1024 * 1024
STDIN: Final = "-"
_JSON_BLANKS: Final = " \t\r\n"
_KUSTOMIZATIONS: Final = ("kustomization.yaml", "kustomization.yml", "Kustomization")


@dataclass(frozen=True)
class Document:
    """
    One Kubernetes object, and the file that it is from.

    Attributes:
        file: As it was named; `-` for standard input.
        kind: Deployment, Service, …
        node: All of it.
    """

    file: str
    kind: str
    node: Node

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
        passed_over: What in it is known, and not checked.
    """

    documents: list[Document] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    passed_over: list[str] = field(default_factory=list)


def read(file: str) -> Reading:
    """Read what a file, or standard input, holds."""
    try:
        return parse(_text(file), file)
    except Unreadable as error:
        return Reading(problems=[str(error)])


def parse(text: str, file: str = STDIN) -> Reading:
    """Read the objects in a text: YAML or JSON, any number of documents; lists are opened."""
    found = Reading()
    for node in _nodes(text):
        if isinstance(node, Unreadable):
            found.problems.append(str(node))
        elif os.path.basename(file) in _KUSTOMIZATIONS and "kind" not in (node.value or ()):
            found.passed_over.append(
                "a kustomization is passed over; kustomize build … | lifecycle check - reads it built"
            )
        elif node:
            _open(node, file, found)
    if not (found.documents or found.problems or found.passed_over):
        found.problems.append("it is empty")
    return found


def documents(text: str, file: str = STDIN) -> list[Document]:
    """
    Read the objects in a text, all of which have to be readable.

    Raises:
        Unreadable: One is not; or there is none.
    """
    found = parse(text, file)
    if found.problems:
        raise Unreadable(found.problems[0])
    return found.documents


def from_objects(objects: Iterable[Any], file: str = STDIN) -> list[Document]:
    """
    Make documents of objects that are in memory.

    Raises:
        Unreadable: One is no Kubernetes object.
    """
    found = Reading()
    for value in objects:
        _open(from_plain(value), file, found)
    if found.problems:
        raise Unreadable(found.problems[0])
    return found.documents


def _text(file: str) -> str:
    try:
        if file == STDIN:
            if sys.stdin is None:
                raise Unreadable("standard input is closed")
            data = sys.stdin.buffer.read(MAX_BYTES + 1)
        else:
            with open(file, "rb") as opened:
                data = opened.read(MAX_BYTES + 1)
    except OSError as error:
        raise Unreadable(error.strerror or str(error)) from None
    except ValueError:
        raise Unreadable("that is no file's name") from None
    if len(data) > MAX_BYTES:
        raise Unreadable(f"larger than {MAX_BYTES // 1024 // 1024} MiB")
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise Unreadable("text in UTF-16: write it as UTF-8 (iconv -f UTF-16 -t UTF-8)")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Unreadable("no text in UTF-8") from None


def _nodes(text: str) -> Iterator[Node | Unreadable]:
    if text.lstrip()[:1] != "{":
        yield from read_yaml(text)
        return
    try:
        values = list(_json_values(text))  # kubectl's JSON; tabs in it are no YAML
    except RecursionError:
        yield Unreadable("nested too deep")
        return
    except ValueError:  # YAML in braces
        yield from read_yaml(text)
        return
    for value in values:
        try:
            yield from_plain(value)
        except Unreadable as error:
            yield error


def _json_values(text: str) -> Iterator[Any]:
    """Give the values of a text one after the other, as `jq` prints them."""
    decoder = json.JSONDecoder()
    text = text.strip(_JSON_BLANKS)
    while text:
        value, end = decoder.raw_decode(text)
        yield value
        text = text[end:].lstrip(_JSON_BLANKS)


def _open(node: Node, file: str, found: Reading, kind: str = "") -> None:
    try:
        kind = _kind(node) or kind
    except Unreadable as error:
        found.problems.append(str(error))
        return
    if not kind:
        where = f"line {node.line}: " if node.line else f"{node.path}: "
        found.problems.append(f"{where}no Kubernetes object: it has no kind")
        return
    if kind.endswith("List") and isinstance(node.at("items").value, list):
        for item in node.at("items").each():  # what the API server lists has no kind of its own
            if item:
                _open(item, file, found, kind.removesuffix("List"))
    else:
        found.documents.append(Document(file, kind, node))


def _kind(node: Node) -> str:
    if not isinstance(node.value, dict):
        raise node._wrong("a Kubernetes object: a mapping with apiVersion and kind")
    return node.at("kind").text()
