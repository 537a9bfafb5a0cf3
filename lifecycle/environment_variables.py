"""
Reading settings and plugins' options from `LIFECYCLE_*` variables.

Rules of this file:

1. A keyword argument wins over the variable, and the variable wins over the default.
2. Variables that Kubernetes sets for Services (service links) are ignored.
3. An unknown variable causes a warning and never an error, so that rolling back to an older
   image cannot cause a crash loop. An unknown keyword is an error, because it is in the code.
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

from lifecycle.exceptions import ConfigError, page_of

T = TypeVar("T")

PREFIX: Final = "LIFECYCLE_"
REDACTED: Final = "<redacted>"
BOARD: Final = "LIFECYCLE_BOARD"
"""
The path of the board of `lifecycle run -- COMMAND`, in the environment of the command. Empty if
the workers are not instrumented.
"""
NO_SETTINGS: Final = frozenset({BOARD})
"""Variables that `lifecycle run -- COMMAND` sets for its command."""
IN_A_POD: Final = "KUBERNETES_SERVICE_HOST"
"""A variable that the kubelet sets in every container."""
DEFAULT: Final = "default"
KEYWORD: Final = "keyword"

VALUE: Final = "value-of-a-setting"
"""The page about wrong values of settings, as `help_page` takes it."""
OPTION: Final = "errors.md#option-of-a-plugin"
"""The page about wrong values of plugins' options."""

_BOOLS: Final = {
    **dict.fromkeys(("1", "true", "yes", "on"), True),
    **dict.fromkeys(("0", "false", "no", "off"), False),
}

_PORT: Final = r"_PORT_[0-9]+_(TCP|UDP|SCTP)"
_URL: Final = r"(tcp|udp|sctp)://.*"
_ADDRESS: Final = r"[0-9]+([.][0-9]+){3}|[0-9a-f:]*:[0-9a-f:.]*"
# The end of the name of a service link, and its value. Both must match: for example,
# LIFECYCLE_TCP_TARGETS=tcp://… is a mistake of the user, which must be reported.
_LINKS: Final = (
    (f"(_PORT|{_PORT})$", _URL),
    (f"({_PORT}_PROTO)$", "tcp|udp|sctp"),
    (f"({_PORT}_PORT|_SERVICE_PORT(_[A-Z0-9_]+)?)$", "[0-9]{1,5}"),
    (f"({_PORT}_ADDR|_SERVICE_HOST)$", _ADDRESS),
)
_LINK_OR_OPTION: Final = "_SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)$"


def pod_name() -> str:
    """Return the name of the pod, or an empty text outside Kubernetes."""
    named = os.environ.get("POD_NAME", "")
    # The kubelet sets HOSTNAME to the name of the pod, except with the network of the host.
    return named or (os.environ.get("HOSTNAME", "") if IN_A_POD in os.environ else "")


def is_of_a_command() -> bool:
    """Return True in the processes of the command of `lifecycle run -- COMMAND`."""
    board = os.environ.get(BOARD)
    return board is not None and (not board or os.path.exists(board))


def variable(name: str, plugin: str = "") -> str:
    """Return the variable of a setting, for example `LIFECYCLE_SETTLE` or `LIFECYCLE_TCP_PORT`."""
    words = f"{plugin}_{name}" if plugin else name
    return PREFIX + re.sub(r"[^A-Za-z0-9]", "_", words).upper()


def parse(text: str, annotation: Any) -> Any:
    """
    Turn the text of a variable into a value of the annotated type.

    Raises:
        ValueError: The text is not such a value. The message contains the expected form.
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
            return annotation(text.encode("ascii"))  # only ASCII digits
        except ValueError:
            kind = "a whole number" if annotation is int else "a number"
            raise ValueError(f"must be {kind}") from None
    return annotation(text)


def fill(
    cls: type[T], environ: Mapping[str, str], *, plugin: str = "", **given: Any
) -> tuple[T, dict[str, str]]:
    """
    Make an instance of a dataclass from keyword arguments, the environment and defaults.

    Args:
        cls: A dataclass. The type of each field decides how its text is parsed.
        environ: The environment variables.
        plugin: The name of the plugin, which is a part of the names of its variables.
        given: Values that win over the environment.

    Returns:
        The instance, and the source of each field.

    Raises:
        ConfigError: A value is wrong (the message contains its variable), or a name is unknown
            (the message contains the closest name).
    """
    values, sources = read(cls, environ, given, plugin=plugin)
    with blaming(sources, OPTION if plugin else VALUE):
        return cls(**values), sources


def read(
    cls: type[object], environ: Mapping[str, str], given: Mapping[str, Any], *, plugin: str = ""
) -> tuple[dict[str, Any], dict[str, str]]:
    """
    Read the values of the fields of a dataclass, as `fill` does, without making an instance.

    Returns:
        The values that are not defaults, and the source of every field: `keyword`, `default`, or
        the name of the variable.

    Raises:
        ConfigError: As for `fill`.
    """
    hints = typing.get_type_hints(cls)
    fields = {each.name: each for each in dataclasses.fields(cls) if each.init}  # type: ignore[arg-type]
    for name in given:
        if name not in fields:
            raise ConfigError(
                f"{name!r} is not a setting{_suggest(name, fields)}", see="unknown-setting"
            )
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
            see = OPTION if plugin else VALUE
            raise ConfigError(f"{where}={shown}: {wrong}", see=see) from None
        sources[name] = where
    return values, sources


@contextlib.contextmanager
def blaming(sources: Mapping[str, str], see: str = VALUE) -> Iterator[None]:
    """
    Add the names of the variables to an error about their values.

    Args:
        sources: The source of each value.
        see: The page of an error that names none.

    Raises:
        ConfigError: The block raised ValueError or TypeError.
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
        raise ConfigError(f"{wrong}{hint}", see=page_of(wrong) or see) from None


def unknown_variables(environ: Mapping[str, str], known: Iterable[str]) -> dict[str, str]:
    """Return each unknown `LIFECYCLE_` variable, with a message that suggests the closest name."""
    names = set(known)
    return {
        name: f"{name} is not a setting{_suggest(name, names)}"
        for name in environ
        if name.startswith(PREFIX)
        and name not in names | NO_SETTINGS
        and not is_service_link(name, environ[name], environ)
    }


def _suggest(name: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches  # imported only after a mistake

    # The common prefix would make all names similar, so it is left out.
    names = {each.removeprefix(PREFIX): each for each in known}
    near = get_close_matches(name.removeprefix(PREFIX), names, n=1)
    return f". Did you mean {names[near[0]]}?" if near else ""


def is_service_link(
    name: str, value: str, environ: Mapping[str, str] = types.MappingProxyType({})
) -> bool:
    """
    Return True if Kubernetes set this variable for a Service named `lifecycle…`.

    An option of a plugin may be named `service_host` or `service_port` too. Such a variable is a
    service link only if the environment also has the other variables of the same Service, for
    example `LIFECYCLE_QOS_PORT_22222_TCP`.
    """
    if not any(re.search(end, name) and _is(shape, value) for end, shape in _LINKS):
        return False
    if not re.search(_LINK_OR_OPTION, name) or _is(_URL, value):
        return True  # with a URL too, because the Service may be named `lifecycle-service`
    port = re.sub(_LINK_OR_OPTION, "_PORT", name)
    return any(
        other.startswith(port) and is_service_link(other, environ[other]) for other in environ
    )


def _is(shape: str, value: str) -> bool:
    return re.fullmatch(shape, value, re.IGNORECASE | re.DOTALL) is not None
