"""
Reading settings and plugins' options from `LIFECYCLE_*` variables.

Rules of this file:

1. A given value wins over the variable, the variable over the default.
2. What Kubernetes' service links put into a pod's environment is not ours: ignored.
3. An unknown variable is a warning, never a refusal, so that rolling back an image
   cannot crash-loop; an unknown keyword is a mistake in the code, and an error.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, TypeVar

from lifecycle.exceptions import ConfigError

T = TypeVar("T")

PREFIX: Final = "LIFECYCLE_"
REDACTED: Final = "<redacted>"
BOARD: Final = "LIFECYCLE_BOARD"
"""
Names the board of `lifecycle run -- COMMAND` in the environment of the command; empty if its
workers are not instrumented.
"""
NO_SETTINGS: Final = frozenset({BOARD})
"""Variables that `lifecycle run -- COMMAND` gives its command."""
DEFAULT: Final = "default"
KEYWORD: Final = "keyword"

_BOOLS: Final = {
    **dict.fromkeys(("1", "true", "yes", "on"), True),
    **dict.fromkeys(("0", "false", "no", "off"), False),
}

_PORT: Final = r"_PORT_[0-9]+_(TCP|UDP|SCTP)"
_URL: Final = r"(tcp|udp|sctp)://.*"
_ADDRESS: Final = r"[0-9]+([.][0-9]+){3}|[0-9a-f:]*:[0-9a-f:.]*"
# How the name of a service link ends, and its value: the value alone is no sign, since
# LIFECYCLE_TCP_TARGETS=tcp://… is a mistake to be told of; nor is the name alone.
_LINKS: Final = (
    (f"(_PORT|{_PORT})$", _URL),
    (f"({_PORT}_PROTO)$", "tcp|udp|sctp"),
    (f"({_PORT}_PORT|_SERVICE_PORT(_[A-Z0-9_]+)?)$", "[0-9]{1,5}"),
    (f"({_PORT}_ADDR|_SERVICE_HOST)$", _ADDRESS),
)
_LINK_OR_OPTION: Final = "_SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)$"


def is_of_a_command() -> bool:
    """Tell whether this process is of the command of a `lifecycle run -- COMMAND` that runs."""
    board = os.environ.get(BOARD)
    return board is not None and (not board or os.path.exists(board))


def variable(name: str, plugin: str = "") -> str:
    """Return the environment variable of a field: `LIFECYCLE_SETTLE`, `LIFECYCLE_TCP_PORT`."""
    words = f"{plugin}_{name}" if plugin else name
    return PREFIX + re.sub(r"[^A-Za-z0-9]", "_", words).upper()


def parse(text: str, annotation: Any) -> Any:
    """
    Turn the text of a variable into a value of the annotated type.

    Raises:
        ValueError: It is none; the message says what is wanted.
    """
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    text = text.strip()
    if origin in (typing.Union, types.UnionType):
        inner = next(a for a in arguments if a is not type(None))
        return None if text == "" else parse(text, inner)
    if origin in (tuple, list):
        return origin(parse(part, arguments[0]) for part in text.split(",") if part.strip())
    if annotation is bool:
        if text.lower() not in _BOOLS:
            raise ValueError("must be true or false")
        return _BOOLS[text.lower()]
    if annotation in (int, float):
        try:
            return annotation(text.encode("ascii"))  # other digits are a slip of the keyboard
        except ValueError:
            kind = "a whole number" if annotation is int else "a number"
            raise ValueError(f"must be {kind}") from None
    return annotation(text)


def fill(
    cls: type[T], environ: Mapping[str, str], *, plugin: str = "", **given: Any
) -> tuple[T, dict[str, str]]:
    """
    Make an instance of a dataclass: given values, then the environment, then defaults.

    Args:
        cls: A dataclass; its annotations say how text is parsed.
        environ: Where the variables are.
        plugin: The plugin's name, part of its variables' names.
        given: Values that win over the environment.

    Returns:
        The instance, and for each field where it came from.

    Raises:
        ConfigError: A bad value, with its variable; an unknown name, with the nearest.
    """
    values, sources = read(cls, environ, given, plugin=plugin)
    with blaming(sources):
        return cls(**values), sources


def read(
    cls: type[object], environ: Mapping[str, str], given: Mapping[str, Any], *, plugin: str = ""
) -> tuple[dict[str, Any], dict[str, str]]:
    """
    Return what the fields of a dataclass are to be, if not their defaults; as `fill` does.

    Returns:
        Those values, and for every field where its value comes from: `keyword`, `default`, or
        the variable.

    Raises:
        ConfigError: A text that is no value, with its variable; an unknown name, with the nearest.
    """
    hints = typing.get_type_hints(cls)
    fields = {each.name: each for each in dataclasses.fields(cls) if each.init}  # type: ignore[arg-type]
    for name in given:
        if name not in fields:
            raise ConfigError(f"{name!r} is no setting{_suggest(name, fields)}")
    values, sources = dict(given), dict.fromkeys(given, KEYWORD)
    for name, field in fields.items():
        if name in given:
            continue
        where = variable(name, plugin)
        raw = environ.get(where)
        if raw is None or is_service_link(where, raw, environ):
            sources[name] = DEFAULT
            continue
        try:
            values[name] = parse(raw, hints[name])
        except (ValueError, TypeError) as wrong:
            shown = repr(raw) if field.repr else REDACTED
            raise ConfigError(f"{where}={shown}: {wrong}") from None
        sources[name] = where
    return values, sources


@contextlib.contextmanager
def blaming(sources: Mapping[str, str]) -> Iterator[None]:
    """
    Name the variables that values came from, if what is made of them is refused.

    Raises:
        ConfigError: A ValueError or a TypeError was raised inside.
    """
    try:
        yield
    except (ValueError, TypeError) as wrong:
        used = sorted(
            source
            for name, source in sources.items()
            if source not in (DEFAULT, KEYWORD) and re.search(rf"\b{name}\b", str(wrong))
        )
        hint = f" (from {', '.join(used)})" if used else ""
        raise ConfigError(f"{wrong}{hint}") from None


def unknown_variables(environ: Mapping[str, str], known: Iterable[str]) -> dict[str, str]:
    """Return every `LIFECYCLE_` variable that nobody reads, with the sentence to say about it."""
    names = set(known)
    return {
        name: f"{name} is no setting{_suggest(name, names)}"
        for name in environ
        if name.startswith(PREFIX)
        and name not in names | NO_SETTINGS
        and not is_service_link(name, environ[name], environ)
    }


def _suggest(name: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches  # only mistakes pay for it

    # Without the prefix, which would make everything resemble everything.
    names = {each.removeprefix(PREFIX): each for each in known}
    near = get_close_matches(name.removeprefix(PREFIX), names, n=1)
    return f"; did you mean {names[near[0]]}?" if near else ""


def is_service_link(
    name: str, value: str, environ: Mapping[str, str] = types.MappingProxyType({})
) -> bool:
    """
    Tell whether Kubernetes made this variable for a Service called `lifecycle…`.

    An option may be called `service_host` or `service_port` too: these are a link's if the
    rest of its family, like `LIFECYCLE_QOS_PORT_22222_TCP`, is in the environment.
    """
    if not any(re.search(end, name) and _is(shape, value) for end, shape in _LINKS):
        return False
    if not re.search(_LINK_OR_OPTION, name) or _is(_URL, value):
        return True  # a URL too: the Service may be called `lifecycle-service`
    port = re.sub(_LINK_OR_OPTION, "_PORT", name)
    return any(
        other.startswith(port) and is_service_link(other, environ[other]) for other in environ
    )


def _is(shape: str, value: str) -> bool:
    return re.fullmatch(shape, value, re.IGNORECASE | re.DOTALL) is not None
