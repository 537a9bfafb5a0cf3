"""
The settings, as plain values, and their checks.

A value out of range never passes: the error names the field, the value, the range.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from lifecycle.environment_variables import REDACTED, blaming, read, variable
from lifecycle.exceptions import ConfigError
from lifecycle.service_names import RULE, is_service_spec, service_spec

T = TypeVar("T")

KILL_MARGIN: Final = 2.0
"""Seconds of the grace period that are never planned for: the kubelet's own floor."""


def _setting(default: T, describe: str, check: Callable[[Any], str | None], **extra: Any) -> Any:
    return field(default=default, metadata={"describe": describe, "check": check}, **extra)


def _seconds(default: float, low: float, high: float, describe: str) -> Any:
    def check(value: Any) -> str | None:
        good = isinstance(value, (int, float)) and not isinstance(value, bool)
        return None if good and low <= value <= high else f"from {low:g} to {high:g} seconds"

    return _setting(default, describe, check)


def _flag(default: bool, describe: str) -> Any:  # noqa: FBT001 - a default is a value
    return _setting(default, describe, lambda v: None if isinstance(v, bool) else "true or false")


def _words(describe: str, check: Callable[[str], str | None] = lambda _: None) -> Any:
    return _setting((), describe, lambda value: _check_words(value, check))


def _check_words(value: Any, check: Callable[[str], str | None]) -> str | None:
    if not isinstance(value, tuple) or not all(isinstance(word, str) for word in value):
        return "a tuple of strings (comma-separated in the environment)"
    return next((wrong for word in value if (wrong := check(word))), None)


def _check_port(value: Any) -> str | None:
    good = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 65535
    return None if good else "a port from 0 (any) to 65535"


def _check_network(word: str) -> str | None:
    import ipaddress  # only who sets qos_allow pays for it

    try:
        ipaddress.ip_network(word, strict=False)
    except ValueError:
        return f"addresses and CIDRs; {word!r} is neither"
    return None


def _check_service(word: str) -> str | None:
    if is_service_spec(word):
        return None
    return f"NAME or NAME:PORT; {word[:80]!r} is neither. NAME {RULE}, PORT from 1 to 65535"


def _check_token(value: Any) -> str | None:
    good = value is None or (isinstance(value, str) and len(value) >= 16 and value.isascii())
    return None if good else "at least 16 ASCII characters"


def _check_services(value: Any) -> str | None:
    if wrong := _check_words(value, _check_service):
        return wrong
    ports: dict[str, int | None] = {}
    for name, port in map(service_spec, value):
        if ports.setdefault(name, port) != port:
            return f"one port a name; {name!r} has {ports[name] or 'none'} and {port or 'none'}"
    return None


def _check_host(value: Any) -> str | None:
    if not isinstance(value, str):
        return "text"
    try:
        # Python imports IDNA for this: who leaves the default does not pay for it.
        usable = not value or ("\0" not in value and value.encode("idna") is not None)
    except UnicodeError:  # an empty label, or one that is too long
        usable = False
    return None if usable else "an address or the name of a host"


def _check_text(value: Any) -> str | None:
    return None if isinstance(value, str) else "text"


class Sourced:
    """
    What knows where each of its values came from: no value itself, and not compared.

    Attributes:
        sources: For each setting `keyword`, `default`, or the name of the variable.
    """

    sources: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Config(Sourced):
    """
    Every setting of the core. What is not given comes from `LIFECYCLE_*`, then the default.

    Raises:
        ConfigError: A value out of range, an unknown keyword, or times that do not
            fit into the grace period.
    """

    grace_period: float = _seconds(30.0, 3, 86400, "the pod's terminationGracePeriodSeconds")
    settle: float = _seconds(5.0, 0, 3600, "how long consumers may still find us after T0")
    quiet: float = _seconds(1.0, 0, 600, "how long nothing must have arrived before we stop")
    stop_timeout: float = _seconds(3.0, 0, 3600, "kept free for the app's own stop")
    probe_timeout: float = _seconds(0.8, 0.01, 60, "how long a plugin's answer may take")
    register_timeout: float = _seconds(10.0, 0.1, 600, "how long one registration may take")
    ready_stall_limit: float = _seconds(
        5.0, 0, 86400, "a loop silent for longer makes /ready false (0: only loop_stall_limit does)"
    )
    loop_stall_limit: float = _seconds(
        30.0, 0, 86400, "a loop silent for longer makes /live false (0: never)"
    )
    qos_enabled: bool = _flag(True, "open the QOS port and the control socket")
    qos_host: str = _setting("", "address of the QOS port; empty: all interfaces", _check_host)
    qos_port: int = _setting(22222, "the QOS port (0: any free one)", _check_port)
    qos_allow: tuple[str, ...] = _words("CIDRs that count as PROTECTED callers", _check_network)
    prestop_token: str | None = _setting(
        None, "secret that makes a caller PRIVATE", _check_token, repr=False
    )
    run_dir: str = _setting(
        "", "folder of the control socket; empty: /run, /dev/shm, /tmp", _check_text
    )
    services: tuple[str, ...] = _setting(
        (), "NAME:PORT of an unmodified main's services", _check_services
    )
    plugins: tuple[str, ...] = _words("modules to load as plugins; no:NAME disables one")
    optional_registries: tuple[str, ...] = _words("registries that readiness does not wait for")
    quiet_ignore: tuple[str, ...] = _words("user agents and /paths that do not disturb the quiet")

    if not TYPE_CHECKING:  # for whom it is the dataclass's own, with every field as a keyword

        def __init__(self, /, **given: Any) -> None:
            self._fill(os.environ, given)

    @classmethod
    def from_environ(cls, environ: Mapping[str, str], /, **given: Any) -> Self:
        """
        Return what `Config(**given)` would be with another environment.

        Raises:
            ConfigError: As for `Config`.
        """
        config = cls.__new__(cls)
        config._fill(environ, given)  # noqa: SLF001 - it is made here
        return config

    def _fill(self, environ: Mapping[str, str], given: Mapping[str, Any]) -> None:
        values, sources = read(type(self), environ, given)
        for each in dataclasses.fields(self):
            object.__setattr__(self, each.name, values.get(each.name, each.default))
        object.__setattr__(self, "sources", sources)
        with blaming(sources):
            self._check()

    def _check(self) -> None:
        for each in dataclasses.fields(self):
            value = getattr(self, each.name)
            if wanted := each.metadata["check"](value):
                said = REDACTED if not each.repr else repr(value)
                raise ConfigError(f"{each.name}={said}: must be {wanted}")
        needed = self.settle + self.quiet + self.stop_timeout + KILL_MARGIN
        if needed > self.grace_period:
            raise ConfigError(
                f"settle {self.settle:g} + quiet {self.quiet:g} + stop_timeout "
                f"{self.stop_timeout:g} + {KILL_MARGIN:g} = {needed:g} s do not fit into "
                f"grace_period={self.grace_period:g} s: raise it (and the pod's "
                "terminationGracePeriodSeconds with it), or lower one of them"
            )

    def public(self) -> dict[str, dict[str, object]]:
        """Return every setting with its source and secrets redacted: what `/config` shows."""
        return {
            each.name: {
                "value": shown(each, getattr(self, each.name)),
                "source": self.sources[each.name],
                "variable": variable(each.name),
                "help": each.metadata["describe"],
            }
            for each in dataclasses.fields(self)
        }


def shown(each: dataclasses.Field[Any], value: object) -> object:
    """Return the value of a field as JSON can hold it; of a secret, that there is one."""
    secret = not each.repr and value is not None
    return REDACTED if secret else _plain(value)


def _plain(value: object) -> object:
    """Copy a value as JSON can hold it: an option of a plugin's may be anything."""
    import json  # `/config` is seldom asked for

    try:
        return json.loads(json.dumps(value, default=str, allow_nan=False))
    except BaseException:  # noqa: BLE001 - a circle, a key that is no text, a stranger's __str__
        return _text_of(value)


def _text_of(value: object) -> str:
    try:
        return str(value)
    except BaseException as error:  # noqa: BLE001 - as above
        return f"(it cannot be shown: {type(error).__name__})"


def core_variables() -> set[str]:
    """Return the variable of every setting of the core."""
    return {variable(each.name) for each in dataclasses.fields(Config)}
