"""The rule for the names of services: one, wherever a name comes from."""

from __future__ import annotations

import re
from typing import Final

from lifecycle.exceptions import ConfigError

LONGEST: Final = 253
"""Characters of a name: as many as a name in DNS may have."""
RULE: Final = (
    f"must be 1 to {LONGEST} letters (A to Z, a to z), digits, '.', '_', '-' or '/', "
    "start and end with a letter or a digit, before and after each '/' too, and have no '..'"
)
_PART: Final = "[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?"
_TOO_LONG: Final = f"[A-Za-z0-9._/-]{{{LONGEST + 1}}}"
_EMPTY_LABEL: Final = r"[A-Za-z0-9._/-]*\.\."
_NAME: Final = f"(?!{_TOO_LONG})(?!{_EMPTY_LABEL}){_PART}(/{_PART})*"
_SPEC: Final = rf"(?P<name>{_NAME})(:(?P<port>[0-9]{{1,5}}))?"


def check_service_name(name: str) -> None:
    """
    Check what is to be the name of a service.

    It is shown to people, compared with patterns, and is a part of what registries store, so it
    has neither spaces nor control characters, and no `:`, which comes before a port. A path
    that is made of it leads where it says, and no part of it is empty: it has no `//`, no `..`, no dot
    at an end. It need not be a name in DNS: it may have `_` and `/`, and a part of more than 63.

    Raises:
        ValueError: It breaks the rule.
    """
    if not isinstance(name, str) or not re.fullmatch(_NAME, name):
        shown = repr(name[:80]) if isinstance(name, str) else f"a {type(name).__name__}"
        raise ValueError(f"the service name {shown} {RULE}")


def check_port(where: str, port: int | None) -> None:
    """
    Check what is to be the port of a service; None is none.

    Raises:
        ValueError: It is no port, or 0; the message begins with `where`.
    """
    if port is None:
        return
    if isinstance(port, bool) or not isinstance(port, int) or not 0 < port <= 65535:
        raise ValueError(f"{where}, port={port!r}): must be from 1 to 65535")


def is_service_spec(text: str) -> bool:
    """Tell whether a text is `NAME` or `NAME:PORT`."""
    try:
        service_spec(text)
    except ConfigError:
        return False
    return True


def service_spec(text: str) -> tuple[str, int | None]:
    """
    Split `NAME:PORT`.

    Raises:
        ConfigError: It is not of that form.
    """
    match = re.fullmatch(_SPEC, text)
    port = int(match["port"]) if match and match["port"] else None
    if match is None or (port is not None and not 0 < port <= 65535):
        raise ConfigError(
            f"service {text!r}: must be NAME or NAME:PORT with a port from 1 to 65535. NAME {RULE}"
        )
    return match["name"], port
