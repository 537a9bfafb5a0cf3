"""The rule for the names and ports of services."""

from __future__ import annotations

import re
from typing import Final

from lifecycle.exceptions import ConfigError, explained

LONGEST: Final = 253
"""Characters of a name at most, as in DNS."""
RULE: Final = (
    f"must be 1 to {LONGEST} letters (A to Z, a to z), digits, '.', '_', '-' or '/'. It must "
    "start and end with a letter or a digit, also next to each '/', and must not contain '..'"
)
_PART: Final = "[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?"
_TOO_LONG: Final = f"[A-Za-z0-9._/-]{{{LONGEST + 1}}}"
_EMPTY_LABEL: Final = r"[A-Za-z0-9._/-]*\.\."
_NAME: Final = f"(?!{_TOO_LONG})(?!{_EMPTY_LABEL}){_PART}(/{_PART})*"
_SPEC: Final = rf"(?P<name>{_NAME})(:(?P<port>[0-9]{{1,5}}))?"


def check_service_name(name: str) -> None:
    """
    Check the name of a service.

    The name is shown to people, compared with patterns, and stored in registries. So the name has
    no spaces, no control characters, and no `:`, which separates it from a port. A file path made
    of the name must be safe, so the name has no `//`, no `..` and no dot at an end. The name does
    not have to be valid in DNS. It may have `_`, `/`, and parts of more than 63 characters.

    Raises:
        ValueError: The name breaks the rule.
    """
    if not isinstance(name, str) or not re.fullmatch(_NAME, name):
        shown = repr(name[:80]) if isinstance(name, str) else f"a {type(name).__name__}"
        raise explained(ValueError(f"the service name {shown} {RULE}"), see="service-name")


def check_port(where: str, port: int | None) -> None:
    """
    Check the port of a service. None means that the service has no port.

    Args:
        where: The start of the error message, for example `export('orders'`.
        port: The port.

    Raises:
        ValueError: The port is not a number from 1 to 65535.
    """
    if port is None:
        return
    if isinstance(port, bool) or not isinstance(port, int) or not 0 < port <= 65535:
        raise explained(
            ValueError(f"{where}, port={port!r}): must be from 1 to 65535"), see="service-name"
        )


def is_service_spec(text: str) -> bool:
    """Return True if a text is `NAME` or `NAME:PORT`."""
    try:
        service_spec(text)
    except ConfigError:
        return False
    return True


def service_spec(text: str) -> tuple[str, int | None]:
    """
    Split `NAME:PORT` into the name and the port. The port is None for `NAME`.

    Raises:
        ConfigError: The text does not have this form.
    """
    match = re.fullmatch(_SPEC, text)
    port = int(match["port"]) if match and match["port"] else None
    if match is None or (port is not None and not 0 < port <= 65535):
        raise ConfigError(
            f"service {text!r}: must be NAME or NAME:PORT with a port from 1 to 65535. NAME {RULE}",
            see="service-name",
        )
    return match["name"], port
