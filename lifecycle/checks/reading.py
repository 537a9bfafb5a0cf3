"""Files and pipes become Kubernetes objects."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from lifecycle.checks.errors import Unreadable
from lifecycle.checks.node import Node, from_plain
from lifecycle.checks.yaml_nodes import read_yaml

MAX_BYTES: Final = 16 * 1024 * 1024
STDIN: Final = "-"


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


def read(file: str) -> list[Document]:
    """
    Read what a file, or standard input, holds.

    Raises:
        Unreadable: It cannot be read, or is no Kubernetes manifest.
    """
    return documents(_text(file), file)


def documents(text: str, file: str = STDIN) -> list[Document]:
    """
    Read the objects in a text: YAML of one or several documents, or JSON; lists are opened.

    Raises:
        Unreadable: It is neither, or holds something else than Kubernetes' objects.
    """
    found = [each for node in _nodes(text) if node for each in _objects(node, file)]
    if not found:
        raise Unreadable("it is empty")
    return found


def from_objects(objects: Iterable[Any], file: str = STDIN) -> list[Document]:
    """Make documents of objects that are in memory."""
    return [each for value in objects for each in _objects(from_plain(value), file)]


def _text(file: str) -> str:
    try:
        if file == STDIN:
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
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Unreadable("no text in UTF-8") from None


def _nodes(text: str) -> Iterator[Node]:
    if text.lstrip()[:1] == "{":  # kubectl's JSON; tabs in it are no YAML
        try:
            value = json.loads(text)
        except RecursionError:
            raise Unreadable("nested too deep") from None
        except ValueError:
            yield from read_yaml(text)
        else:
            yield from_plain(value)
    else:
        yield from read_yaml(text)


def _objects(node: Node, file: str, kind: str = "") -> Iterator[Document]:
    if not isinstance(node.value, dict):
        raise node._wrong("a Kubernetes object: a mapping with apiVersion and kind")
    kind = node.at("kind").text() or kind
    if not kind:
        where = f"line {node.line}: " if node.line else ""
        raise Unreadable(f"{where}no Kubernetes object: it has no kind")
    if kind.endswith("List") and isinstance(node.at("items").value, list):
        for item in node.at("items").each():  # what the API server lists has no kind of its own
            if item:
                yield from _objects(item, file, kind.removesuffix("List"))
    else:
        yield Document(file, kind, node)
