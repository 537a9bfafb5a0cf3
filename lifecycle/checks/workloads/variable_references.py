"""References `$(NAME)` in a container that the kubelet does not replace."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from lifecycle.checks.node import Node
from lifecycle.checks.workloads.container import Container

_REFERENCE: Final = re.compile(r"\$\(([A-Za-z_][\w.-]*)\)")
_VARIABLE: Final = re.compile(r"[A-Z_][A-Z0-9_]+")
# The kubelet adds these for every Service: KUBERNETES_SERVICE_HOST, REDIS_PORT_6379_TCP_ADDR.
_OF_SERVICES: Final = re.compile(
    r"\w+_(SERVICE_(HOST|PORT(_\w+)?)|PORT(_\d+_(TCP|UDP|SCTP)(_\w+)?)?)"
)


class Unreplaced(NamedTuple):
    """
    A reference that stays as text.

    Attributes:
        node: The place of the reference.
        name: Name of the variable.
        why: Why the reference is not replaced.
        certain: Whether no other file can change this.
    """

    node: Node
    name: str
    why: str
    certain: bool


def names_in(text: str) -> list[str]:
    """Return the names of the variables in a text. `$$(NAME)` is an escape, not a reference."""
    return list(dict.fromkeys(_REFERENCE.findall(text.replace("$$", " "))))


def unreplaced(container: Container) -> Iterator[Unreplaced]:
    """Give the references in env, command and args that the kubelet leaves as text."""
    entries = container.node.at("env").each()
    all_names = {each.at("name").text() for each in entries}
    open_ended = bool(container.node.at("envFrom"))
    before: set[str] = set()
    for entry in entries:
        own, value = entry.at("name").text(), entry.at("value")
        for name in names_in(_text(value)):
            if name in before:
                continue
            if name in all_names:
                why = "refers to itself" if name == own else "is defined further down"
                yield Unreplaced(value, name, why, not open_ended)
            elif _is_missing(name, open_ended):
                yield Unreplaced(value, name, "is not defined in the manifest", certain=False)
        before.add(own)
    for key in ("command", "args"):
        for word in container.node.at(key).each():
            for name in names_in(_text(word)):
                is_function = re.search(rf"\b{re.escape(name)}\s*\(\)", word.text())
                missing = name not in all_names and _is_missing(name, open_ended)
                if missing and not is_function:
                    yield Unreplaced(word, name, "is not defined in the manifest", certain=False)


def unreplaced_elsewhere(container: Container) -> Iterator[Unreplaced]:
    """
    Give the references in hooks and probes that the kubelet leaves as text.

    The kubelet replaces nothing in a hook. In a probe, it replaces only references in `exec`, and
    only to variables that have a `value`.
    """
    own = set(container.env)
    taken = {name for name, each in container.env.items() if not each.at("value")}
    hook = "is not replaced in a hook"
    lifecycle = container.node.at("lifecycle")
    for handler in (lifecycle.at("preStop"), lifecycle.at("postStart")):
        yield from _in(handler.at("exec", "command").each(), own, hook)
        yield from _in(_of_request(handler), own, hook)
    for probe in container.probes.values():
        why = "comes from valueFrom, so a probe gets an empty text"
        yield from _in(probe.node.at("exec", "command").each(), taken, why)
        yield from _in(_of_request(probe.node), own, "is not replaced in an httpGet")


def _of_request(handler: Node) -> list[Node]:
    request = handler.at("httpGet")
    headers = [each.at("value") for each in request.at("httpHeaders").each()]
    return [request.at("path"), request.at("host"), *headers]


def _in(nodes: list[Node], names: set[str], why: str) -> Iterator[Unreplaced]:
    for node in nodes:
        for name in names_in(_text(node)):
            if name in names:
                yield Unreplaced(node, name, why, certain=True)


def _is_missing(name: str, open_ended: bool) -> bool:  # noqa: FBT001
    """Tell whether a name looks like a variable, but neither a Service nor envFrom can define it."""
    return not open_ended and bool(_VARIABLE.fullmatch(name)) and not _OF_SERVICES.fullmatch(name)


def _text(node: Node) -> str:
    return node.value if isinstance(node.value, str) else ""
