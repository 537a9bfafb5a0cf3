"""
The settings: keyword arguments, then `LIFECYCLE_*`, then defaults.

Rules of this file:

1. A value out of range never passes: the error names the field, the value, the range.
2. What Kubernetes' service links put into a pod's environment is not ours: ignored.
3. An unknown variable is a warning, never a refusal, so that rolling back an image
   cannot crash-loop; an unknown keyword is a mistake in the code, and an error.
"""

from __future__ import annotations

import dataclasses
import os
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self, TypeVar

from lifecycle.exceptions import ConfigError
from lifecycle.links import is_service_link
from lifecycle.names import RULE, is_service_spec, service_spec

T = TypeVar("T")

PREFIX: Final = "LIFECYCLE_"
REDACTED: Final = "<redacted>"
KILL_MARGIN: Final = 2.0
"""Seconds of the grace period that are never planned for: the kubelet's own floor."""

_BOOLS: Final = {
    **dict.fromkeys(("1", "true", "yes", "on"), True),
    **dict.fromkeys(("0", "false", "no", "off"), False),
}


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


def _suggest(name: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches  # only mistakes pay for it

    # Without the prefix, which would make everything resemble everything.
    names = {each.removeprefix(PREFIX): each for each in known}
    near = get_close_matches(name.removeprefix(PREFIX), names, n=1)
    return f"; did you mean {names[near[0]]}?" if near else ""


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


class _FromEnvironment(type):
    # The return type has type checkers look at the fields: with Any pyright would not.
    def __call__(cls: type[T], **given: Any) -> T:
        config, sources = fill(cls, os.environ, **given)
        config.__dict__["_sources"] = sources
        return config


@dataclass(frozen=True, kw_only=True)
class Config(metaclass=_FromEnvironment):
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

    def __post_init__(self) -> None:
        for each in dataclasses.fields(self):
            value = getattr(self, each.name)
            if wanted := each.metadata["check"](value):
                shown = REDACTED if not each.repr else repr(value)
                raise ConfigError(f"{each.name}={shown}: must be {wanted}")
        needed = self.settle + self.quiet + self.stop_timeout + KILL_MARGIN
        if needed > self.grace_period:
            raise ConfigError(
                f"settle {self.settle:g} + quiet {self.quiet:g} + stop_timeout "
                f"{self.stop_timeout:g} + {KILL_MARGIN:g} = {needed:g} s do not fit into "
                f"grace_period={self.grace_period:g} s: raise it (and the pod's "
                "terminationGracePeriodSeconds with it), or lower one of them"
            )

    def take_grace_period(self, seconds: float) -> bool:
        """
        Use the pod's own grace period, if none was set; for a registry that can read it.

        Raises:
            ConfigError: The other times do not fit into it; the old one stays.
        """
        sources = self.__dict__.get("_sources", {})
        if sources.get("grace_period") not in ("default", "pod"):
            return False
        values = {each.name: getattr(self, each.name) for each in dataclasses.fields(self)}
        fill(type(self), {}, **values | {"grace_period": float(seconds)})
        object.__setattr__(self, "grace_period", float(seconds))
        sources["grace_period"] = "pod"
        return True

    def options(self, cls: type[T], plugin: str = "") -> T:
        """
        Return the options of a plugin, filled from the environment.

        Args:
            cls: What the plugin gave in `lifecycle_options`.
            plugin: Its name. A hook has it from its argument `me`: `me.options(cls)`.

        Raises:
            ConfigError: No loaded plugin of that name gave this class, or several did and none
                is named.
        """
        filled = {
            name: options
            for name, (options, _) in self._filled.items()
            if type(options) is cls and plugin in ("", name)
        }
        if not filled:
            of = f"the plugin {plugin!r}" if plugin else "a loaded plugin"
            raise ConfigError(f"{cls.__name__} is not the options class of {of}")
        if len(filled) > 1:
            raise ConfigError(
                f"the plugins {', '.join(filled)} all have options of the class {cls.__name__}: "
                "take the argument `me` in the hook, and read me.options("
                f"{cls.__name__})"
            )
        return next(iter(filled.values()))

    def copy(self) -> Self:
        """Return the same settings for another lifecycle, without what one filled in."""
        twin = object.__new__(type(self))
        twin.__dict__.update(
            self.__dict__, _sources=dict(self.__dict__.get("_sources", {})), _options={}
        )
        return twin

    @property
    def _filled(self) -> dict[str, tuple[Any, Mapping[str, str]]]:
        return typing.cast("dict[str, Any]", self.__dict__.setdefault("_options", {}))

    def keep_options(self, options: object, plugin: str, sources: Mapping[str, str]) -> None:
        """Make `options` return this instance. For the runtime."""
        self._filled[plugin] = options, sources

    def drop_options(self, plugin: str) -> None:
        """Forget the options of a plugin that was refused. For the runtime."""
        self._filled.pop(plugin, None)

    def public_options(self) -> dict[str, dict[str, object]]:
        """Return the options of the loaded plugins in the form of `public`."""
        return {
            f"{plugin}.{each.name}": {
                "value": _shown(each, getattr(options, each.name)),
                "source": sources[each.name],
                "variable": variable(each.name, plugin),
                "help": each.metadata.get("describe", ""),
            }
            for plugin, (options, sources) in self._filled.items()
            for each in dataclasses.fields(options)
            if each.init
        }

    def public(self) -> dict[str, dict[str, object]]:
        """Return every setting with its source and secrets redacted: what `/config` shows."""
        return {
            each.name: {
                "value": _shown(each, getattr(self, each.name)),
                "source": self.__dict__["_sources"][each.name],
                "variable": variable(each.name),
                "help": each.metadata["describe"],
            }
            for each in dataclasses.fields(self)
        }


def _shown(each: dataclasses.Field[Any], value: object) -> object:
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
    hints = typing.get_type_hints(cls)
    fields = {each.name: each for each in dataclasses.fields(cls) if each.init}  # type: ignore[arg-type]
    for name in given:
        if name not in fields:
            raise ConfigError(f"{name!r} is no setting{_suggest(name, fields)}")
    values, sources = dict(given), dict.fromkeys(given, "keyword")
    for name in fields.keys() - given.keys():
        where = variable(name, plugin)
        raw = environ.get(where)
        if raw is None or is_service_link(where, raw, environ):
            sources[name] = "default"
            continue
        try:
            values[name] = parse(raw, hints[name])
        except (ValueError, TypeError) as wrong:
            shown = repr(raw) if fields[name].repr else REDACTED
            raise ConfigError(f"{where}={shown}: {wrong}") from None
        sources[name] = where
    try:
        return type.__call__(cls, **values), sources
    except (ValueError, TypeError) as wrong:
        used = sorted(
            source
            for name, source in sources.items()
            if source[0] == "L" and re.search(rf"\b{name}\b", str(wrong))
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
        and name not in names
        and not is_service_link(name, environ[name], environ)
    }


def core_variables() -> set[str]:
    """Return the variable of every setting of the core."""
    return {variable(each.name) for each in dataclasses.fields(Config)}
