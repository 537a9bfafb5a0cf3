"""
The settings, as plain values, and their checks.

A value out of range is an error. The error contains the field, the value and the range.
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
"""Seconds of the grace period that are always kept in reserve: the kubelet's own minimum."""


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
    import ipaddress  # imported only if qos_allow is set

    try:
        ipaddress.ip_network(word, strict=False)
    except ValueError:
        return f"addresses and CIDRs. {word!r} is neither"
    return None


def _check_service(word: str) -> str | None:
    if is_service_spec(word):
        return None
    return f"NAME or NAME:PORT. {word[:80]!r} is neither. NAME {RULE}. PORT is from 1 to 65535"


def _check_token(value: Any) -> str | None:
    good = value is None or (isinstance(value, str) and len(value) >= 16 and value.isascii())
    return None if good else "at least 16 ASCII characters"


def _check_services(value: Any) -> str | None:
    if wrong := _check_words(value, _check_service):
        return wrong
    ports: dict[str, int | None] = {}
    for name, port in map(service_spec, value):
        if ports.setdefault(name, port) != port:
            return f"one port per name. {name!r} has {ports[name] or 'none'} and {port or 'none'}"
    return None


def _check_host(value: Any) -> str | None:
    if not isinstance(value, str):
        return "text"
    try:
        # Python imports IDNA for this, so the default value is not encoded.
        usable = not value or ("\0" not in value and value.encode("idna") is not None)
    except UnicodeError:  # an empty label, or one that is too long
        usable = False
    return None if usable else "an address or a host name"


def _check_text(value: Any) -> str | None:
    return None if isinstance(value, str) else "text"


class Sourced:
    """
    Holds the source of each setting. Two settings objects may differ in it and still be equal.

    Attributes:
        sources: For each setting `keyword`, `default`, or the name of the variable.
    """

    sources: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Config(Sourced):
    """
    All settings of pod-lifecycle, as keyword arguments.

    A setting that you do not pass comes from its `LIFECYCLE_*` variable, or else has its
    default. The object is frozen.

    Raises:
        ConfigError: A value is out of range, a keyword is unknown, or the times together are
            longer than the grace period.
    """

    grace_period: float = _seconds(
        30.0, 3, 86400, "Grace period. Set it to the pod's terminationGracePeriodSeconds."
    )
    settle: float = _seconds(
        5.0,
        0,
        3600,
        "Settle time. How long clients may still reach this pod after the drain starts. A service "
        "registry may need longer.",
    )
    quiet: float = _seconds(
        1.0, 0, 600, "Quiet period. The drain waits until no request has come for this long."
    )
    quiet_ignore: tuple[str, ...] = _words(
        "User agents and paths, such as /metrics, whose requests do not delay the end of the drain."
    )
    stop_timeout: float = _seconds(
        3.0,
        0,
        3600,
        "Time reserved for your own shutdown code after the drain, including lifecycle_stop hooks.",
    )
    services: tuple[str, ...] = _setting(
        (), "App services, as NAME:PORT, of a main without changes.", _check_services
    )
    probe_timeout: float = _seconds(
        0.8, 0.01, 60, "How long a plugin may take to answer. A probe that takes longer has failed."
    )
    register_timeout: float = _seconds(
        10.0,
        0.1,
        600,
        "How long one registration or deregistration may take, and how long a drain waits for a "
        "service registry.",
    )
    ready_stall_limit: float = _seconds(
        5.0,
        0,
        86400,
        "/ready is false if the app's event loop is blocked for longer than this, or if no worker "
        "makes progress for longer than this. 0 turns this limit off. Then only "
        "loop_stall_limit applies.",
    )
    loop_stall_limit: float = _seconds(
        30.0,
        0,
        86400,
        "/live is false if the app's event loop is blocked for longer than this, or if no worker "
        "makes progress for longer than this. Kubernetes then restarts the container. 0 turns "
        "this limit off.",
    )
    qos_enabled: bool = _flag(True, "Open the QOS port (probe port) and the control socket.")
    qos_host: str = _setting(
        "", "Address on which the QOS port listens. Empty means all interfaces.", _check_host
    )
    qos_port: int = _setting(22222, "Number of the QOS port. 0 means any free port.", _check_port)
    qos_allow: tuple[str, ...] = _words(
        "Addresses and CIDRs whose callers may use PROTECTED commands.", _check_network
    )
    prestop_token: str | None = _setting(
        None, "Secret token that lets a caller use PRIVATE commands.", _check_token, repr=False
    )
    run_dir: str = _setting(
        "",
        "Folder of the control socket. Empty means the first writable one of /run/lifecycle, "
        "/run, /dev/shm and /tmp.",
        _check_text,
    )
    plugins: tuple[str, ...] = _words("Modules to load as plugins. no:NAME turns a plugin off.")
    optional_registries: tuple[str, ...] = _words(
        "Names of service registries that READY and /ready do not wait for."
    )

    if not TYPE_CHECKING:  # type checkers use the __init__ of the dataclass

        def __init__(self, /, **given: Any) -> None:
            self._fill(os.environ, given)

    @classmethod
    def from_environ(cls, environ: Mapping[str, str], /, **given: Any) -> Self:
        """
        Make a `Config(**given)` that reads `environ` instead of the process environment.

        Raises:
            ConfigError: As for `Config`.
        """
        config = cls.__new__(cls)
        config._fill(environ, given)  # noqa: SLF001 - an object that this method has made
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
                raise ConfigError(f"{each.name}={said}: must be {wanted}", see="value-of-a-setting")
        needed = self.settle + self.quiet + self.stop_timeout + KILL_MARGIN
        if needed > self.grace_period:
            raise ConfigError(
                f"settle {self.settle:g} + quiet {self.quiet:g} + stop_timeout "
                f"{self.stop_timeout:g} + {KILL_MARGIN:g} = {needed:g} s, which is longer than "
                f"grace_period={self.grace_period:g} s. Raise grace_period and the pod's "
                "terminationGracePeriodSeconds, or lower one of the other settings.",
                see="grace-period-too-short",
            )

    def public(self) -> dict[str, dict[str, object]]:
        """Return every setting with its source, as `/config` shows it. Secrets are redacted."""
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
    """Return the value of a field in a form that JSON can hold. A secret is redacted if it is set."""
    return _plain(value) if each.repr or _is_unset(value) else REDACTED


def _is_unset(value: object) -> bool:
    return value is None or (isinstance(value, (str, bytes, tuple, list, dict)) and not value)


def _plain(value: object) -> object:
    """Copy a value in a form that JSON can hold. An option of a plugin may be any object."""
    import json  # needed only for `/config`

    try:
        return json.loads(json.dumps(value, default=str, allow_nan=False))
    except BaseException:  # noqa: BLE001 - a cycle, a key that is not text, a __str__ that raises
        return _text_of(value)


def _text_of(value: object) -> str:
    try:
        return str(value)
    except BaseException as error:  # noqa: BLE001 - as above
        return f"(cannot be shown: {type(error).__name__})"


def core_variables() -> set[str]:
    """Return the variable of every setting of the core."""
    return {variable(each.name) for each in dataclasses.fields(Config)}
