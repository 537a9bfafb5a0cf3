"""The checks of a spec: each one raises an error that says what to write instead."""

from __future__ import annotations

import ipaddress
import math
import os
import re
from collections.abc import Mapping, Sequence
from typing import Final

import h11

LAST_PORT: Final = 65535
_VISIBLE: Final = re.compile(r"[!-~]*")
_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SUBDOMAIN: Final = re.compile(rf"(?=.{{1,253}}\Z){_LABEL.pattern}(\.{_LABEL.pattern})*")
_PORT_NAME: Final = re.compile(r"(?=[-0-9]*[a-z])(?!.*--)[a-z0-9]([-a-z0-9]{0,13}[a-z0-9])?")
_TOKEN: Final = re.compile(r"[-!#$%&'*+.^_`|~0-9A-Za-z]+")
_HOST_NAME: Final = re.compile(
    r"(?=.{1,254}\Z)[A-Za-z0-9_]([-A-Za-z0-9_]{0,61}[A-Za-z0-9_])?"
    r"(\.[A-Za-z0-9_]([-A-Za-z0-9_]{0,61}[A-Za-z0-9_])?)*\.?"
)
_FRAMING: Final = frozenset({"content-length", "transfer-encoding", "trailer"})
"""Headers that define where a request ends. The kubelet's HTTP client never sends given ones."""
_FIELD: Final = re.compile(r"([!-~]([\t -~]*[!-~])?)?")


def words(field: str, command: object) -> None:
    """Refuse a command that is not a sequence of words."""
    example = f"{field} must be a list of words, for example ['sh', '-c', 'exit 0']"
    if isinstance(command, str | bytes) or not isinstance(command, Sequence):
        raise TypeError(f"{example}, not {command!r}")
    if not command:
        raise ValueError(f"{example}: it must not be empty")
    for word in command:
        text(f"each word of {field}", word)
    if not command[0]:
        raise ValueError(f"{example}: the first word names the program, and must not be empty")


def text(field: str, value: object) -> None:
    """Refuse a value that is not a text, or that no process can receive."""
    if not isinstance(value, str):
        raise TypeError(f"{field} must be text, not {value!r}: write '{value}'")
    if "\0" in value:
        raise ValueError(f"{field} must not contain a NUL character: {value!r}")
    try:
        os.fsencode(value)
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{field} must be text that can be encoded, without {value[error.start]!r}: {value!r}"
        ) from None


def number(field: str, value: object, *, positive: bool = False) -> None:
    """Refuse a value that is not a finite number of seconds >= 0 (`positive`: > 0)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{field} must be a number of seconds, not {value!r}")
    if not is_finite(value) or value < 0 or (positive and value == 0):
        least = "greater than 0" if positive else "0 or more"
        raise ValueError(f"{field} must be {least} and finite, not {value!r}")


def is_finite(value: float) -> bool:
    """Return whether a number is finite as seconds: 10**400 is too large for a float."""
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def threshold(field: str, value: object) -> None:
    """Refuse a value that is not a number of probes in a row."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{field} must be a whole number, not {value!r}")
    if value < 1:
        raise ValueError(f"{field} must be greater than 0, not {value!r}")


def port(field: str, value: object) -> None:
    """Refuse a value that is neither the number nor the name of a port."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise TypeError(f"{field} must be a port's number or name, not {value!r}")
    if isinstance(value, str) and not (value.isascii() and value.isdigit()):
        port_name(field, value)
    elif not 1 <= int(value) <= LAST_PORT:
        raise ValueError(f"{field} must be a port from 1 to {LAST_PORT}, not {value!r}")


def port_name(field: str, value: object) -> None:
    """Refuse a name that is not allowed for a port in Kubernetes."""
    if not isinstance(value, str):
        raise TypeError(f"{field} must be a port's name, not {value!r}")
    if not _PORT_NAME.fullmatch(value):
        raise ValueError(
            f"{field} must be a port's name of at most 15 lower-case letters, digits and single "
            f"dashes, for example 'http', not {value!r}"
        )


def ports(field: str, value: object) -> None:
    """Refuse a value that is not a dict of port names and numbers."""
    if not isinstance(value, Mapping):
        raise TypeError(f"{field} must be a dict, for example {{'http': 0}}, not {value!r}")
    for name, number_ in value.items():
        port_name(f"each name in {field}", name)
        if isinstance(number_, bool) or not isinstance(number_, int):
            raise TypeError(f"{field}[{name!r}] must be a port's number, not {number_!r}")
        if not 0 <= number_ <= LAST_PORT:
            raise ValueError(
                f"{field}[{name!r}] must be a port up to {LAST_PORT}, or 0 for a free one, not "
                f"{number_!r}"
            )


def environment(field: str, value: object) -> None:
    """Refuse a value that cannot be the environment of a process."""
    if not isinstance(value, Mapping):
        raise TypeError(f"{field} must be a dict, for example {{'DEBUG': '1'}}, not {value!r}")
    for name, content in value.items():
        text(f"each name in {field}", name)
        if not name or "=" in name:
            raise ValueError(f"each name in {field} must be without '=', not {name!r}")
        text(f"{field}[{name!r}]", content)


def label(field: str, value: object) -> None:
    """Refuse a name that is not allowed for a container in Kubernetes."""
    wanted = "of at most 63 lower-case letters, digits and dashes, for example 'shop-1'"
    _shaped(_LABEL, field, value, wanted)


def subdomain(field: str, value: object) -> None:
    """Refuse a name that is not allowed for a pod in Kubernetes."""
    wanted = "of lower-case letters, digits, dashes and dots, for example 'shop-1'"
    _shaped(_SUBDOMAIN, field, value, wanted)


def _shaped(shape: re.Pattern[str], field: str, value: object, wanted: str) -> None:
    text(field, value)
    if not shape.fullmatch(str(value)):
        raise ValueError(f"{field} must be {wanted}, not {value!r}")


def flag(field: str, value: object) -> None:
    """Refuse a value that is neither True nor False."""
    if not isinstance(value, bool):
        raise TypeError(f"{field} must be True or False, not {value!r}")


def folder(field: str, value: object) -> None:
    """Refuse a value that cannot name a folder."""
    if value is None:
        return
    name = os.fspath(value) if isinstance(value, os.PathLike) else value
    text(field, name)
    if not name:
        raise ValueError(f"{field} must be a folder, for example '.', not {value!r}")


def address(field: str, value: object) -> None:
    """Refuse a value that is not an IP address."""
    text(field, value)
    if not _is_address(str(value)):
        raise ValueError(f"{field} must be an IP address, for example '127.0.0.2', not {value!r}")


def _is_address(value: str) -> bool:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True


def host(field: str, value: object) -> None:
    """Refuse a value that is not the name or address of a host."""
    if value is None:
        return
    text(field, value)
    if not _HOST_NAME.fullmatch(str(value)) and not _is_address(str(value)):
        raise ValueError(
            f"{field} must be a host's name or address, for example '127.0.0.1', not {value!r}"
        )


def version(field: str, value: object) -> None:
    """Refuse a value that cannot be in a user agent."""
    text(field, value)
    if not _TOKEN.fullmatch(str(value)):
        raise ValueError(f"{field} must be a version, for example '1.34', not {value!r}")


def one_of(field: str, value: object, *allowed: str) -> None:
    """Refuse a value that is not one of the allowed words."""
    if value not in allowed:
        raise ValueError(f"{field} must be one of {', '.join(map(repr, allowed))}, not {value!r}")


def kind(field: str, value: object, *allowed: type) -> None:
    """Refuse a value that does not have one of the given types."""
    if not isinstance(value, allowed):
        names = " or ".join(each.__name__ for each in allowed)
        raise TypeError(f"{field} must be of {names}, not {value!r}")


def path(field: str, value: object) -> None:
    """Refuse a path that cannot be in a request."""
    text(field, value)
    if not _VISIBLE.fullmatch(str(value)):
        raise ValueError(
            f"{field} must be of visible ASCII characters, and others written as %20: {value!r}"
        )
    if "#" in str(value):
        raise ValueError(f"{field} must be without '#', which is written as %23: {value!r}")


def headers(field: str, value: object) -> None:
    """Refuse headers that cannot be sent."""
    example = f"{field} must be a list of pairs, for example [('X-Token', 'secret')]"
    if isinstance(value, Mapping):
        raise TypeError(f"{example}, not a dict: write list(headers.items())")
    if isinstance(value, str | bytes) or not isinstance(value, Sequence):
        raise TypeError(f"{example}, not {value!r}")
    pairs: list[tuple[str, str]] = []
    for pair in value:
        if isinstance(pair, str | bytes) or not isinstance(pair, Sequence) or len(pair) != 2:
            raise TypeError(f"{example}: {pair!r} is not a pair")
        pairs.append(_header(field, *pair))
    for name, _ in pairs:
        if name.lower() in _FRAMING:
            raise ValueError(
                f"{field}: {name!r} cannot be sent, because a GET of the kubelet has no body. "
                "Leave it out"
            )
    hosts = [name for name, _ in pairs if name.lower() == "host"]
    try:
        h11.Request(method="GET", target="/", headers=[*pairs, *([] if hosts else [("Host", "a")])])
    except h11.LocalProtocolError as error:
        raise ValueError(f"{field} cannot be sent: {error}") from None


def _header(field: str, name: object, content: object) -> tuple[str, str]:
    text(f"each name in {field}", name)
    text(f"{field}: {name!r}", content)
    if not _TOKEN.fullmatch(str(name)):
        raise ValueError(
            f"each name in {field} must be of letters, digits and dashes, for example 'X-Token', "
            f"not {name!r}"
        )
    if not _FIELD.fullmatch(str(content)):
        raise ValueError(
            f"{field}: {name!r} must be of ASCII, without a line break, and without blanks at its "
            f"ends, not {content!r}"
        )
    return str(name), str(content)
