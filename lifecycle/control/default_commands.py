"""The plugin with the built-in commands of the QOS port, for example `/status` and `/offline`."""

from __future__ import annotations

import json
import platform
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from lifecycle.contracts import Command, Level, Reply, Request, inline
from lifecycle.control.services import Services
from lifecycle.drain.view import MOST
from lifecycle.exceptions import LifecycleError
from lifecycle.hookspecs import hookimpl
from lifecycle.plain import table
from lifecycle.registration_table import HEADER, rows
from lifecycle.settings import Settings
from lifecycle.version import VERSION

if TYPE_CHECKING:
    from lifecycle.status_records import InFlight, Snapshot

UntilOffline = Callable[[Sequence[str], float, Callable[[], Awaitable[None]]], Awaitable[str]]

MOST_SECONDS: Final = 86400
"""The longest wait of `/offline`."""
PAGE: Final = 100
"""Entries of `/inflight` without `?limit`."""


class DefaultCommands:
    """
    The built-in commands of the QOS port, except the probes and `/prestop`.

    Args:
        commands: All commands by name, for `/help`. Plugins may add commands later.
        services: The table of services.
        settings: The settings.
        snapshot: Returns the content of `/status`.
        in_flight: Returns the content of `/inflight`, with a limit, and with stacks or without.
        online: Brings services online by a pattern. Returns their names.
        offline: Takes services offline by a pattern, with a reason. Returns their names.
        until_offline: Waits until services that were taken offline are not used any more.
        of_a_command: Returns True under `lifecycle run -- COMMAND`.
        log_level: Returns the lowest level that the log of pod-lifecycle writes.
    """

    def __init__(
        self,
        *,
        commands: Mapping[str, tuple[Command, object]],
        services: Services,
        settings: Settings,
        snapshot: Callable[[], Snapshot],
        in_flight: Callable[[int, bool], Awaitable[InFlight]],
        online: Callable[[str], list[str]],
        offline: Callable[[str, str], list[str]],
        until_offline: UntilOffline,
        of_a_command: Callable[[], bool],
        log_level: Callable[[], int],
    ) -> None:
        self._commands = commands
        self._services = services
        self._settings = settings
        self._snapshot = snapshot
        self._in_flight = in_flight
        self._online = online
        self._offline = offline
        self._until_offline = until_offline
        self._of_a_command = of_a_command
        self._log_level = log_level

    @hookimpl
    @inline
    def lifecycle_commands(self) -> Iterable[Command]:
        """Return the commands."""
        return [
            Command("status", self.status, "the complete state as JSON"),
            Command("inflight", self.inflight, "the work in flight: ?limit=…&stacks"),
            Command("ls", self.ls, "app services and their registrations"),
            Command("help", self.help, "this list"),
            Command("version", self.version, "the version of pod-lifecycle"),
            Command("online", self.online, "bring services online: ?service=…", changes=True),
            Command(
                "offline",
                self.offline,
                "take services offline: ?service=…&wait=SECONDS",
                changes=True,
                timeout=None,
            ),
            Command("log-level", self.log_level, "set log levels: ?level=…&logger=…", changes=True),
            Command("loggers", self.loggers, "loggers and their levels: ?logger=…"),
            Command("config", self.config, "the settings and their sources", Level.PRIVATE),
        ]

    @inline
    def status(self, _: Request) -> Any:
        """Answer `/status`."""
        return self._snapshot()

    @inline
    async def inflight(self, request: Request) -> Reply:
        """Answer `/inflight`."""
        limit, stacks = _page(request)
        found = await self._in_flight(limit, stacks)
        return Reply(json.dumps(found, ensure_ascii=False), content_type="application/json")

    @inline
    def ls(self, _: Request) -> str:
        """Answer `/ls`."""
        services = self._services.status()
        if not services:
            return "no services exported"
        return table(HEADER, (row for each in services for row in rows(each)))

    @inline
    def help(self, _: Request) -> str:
        """Answer `/help`."""
        return self.paths()

    def paths(self) -> str:
        """Return the list of all paths. From any thread."""
        probes = [
            ("GET", "/live", "PUBLIC", "liveness; ?verbose, ?exclude=NAME, /live/NAME"),
            ("GET", "/ready", "PUBLIC", "readiness"),
            ("GET", "/startup", "PUBLIC", "startup"),
        ]
        commands = [
            ("POST" if command.changes else "GET", f"/{name}", command.level.name, command.help)
            for name, (command, _) in list(self._commands.items())
        ]
        return "\n".join(
            f"{method:5}{path:14}{level:11}{text}"
            for method, path, level, text in probes + commands
        )

    @inline
    def version(self, _: Request) -> str:
        """Answer `/version`."""
        return f"pod-lifecycle {VERSION} on Python {platform.python_version()}"

    @inline
    def online(self, request: Request) -> str:
        """Bring services online again."""
        return "OK: " + ", ".join(self._online(_glob(request)))

    @inline
    async def offline(self, request: Request) -> str:
        """Take services offline, and wait if this is requested."""
        given = dict(request.arguments)
        wait = given.pop("wait", None)
        seconds = None if wait is None else _wait(wait)
        names = self._offline(_glob(request._replace(arguments=given)), request.caller)
        if seconds is None:
            return "OK: " + ", ".join(names)
        return await self._until_offline(names, seconds, request.gone)

    @inline
    def log_level(self, request: Request) -> Reply:
        """Set the level of a standard logger."""
        import logging

        levels = logging.getLevelNamesMapping()
        level = request.arguments.get("level", "").upper()
        if level not in levels:
            raise LifecycleError(
                f"The argument level must be one of {', '.join(levels)}.", see="command-refused"
            )
        name = _logger(request)
        logging.getLogger(name or None).setLevel(levels[level])
        own = " (not in the command's own log)" if self._of_a_command() else ""
        return Reply(f"OK: {name or 'root'} at {level}{own}")

    @inline
    def loggers(self, request: Request) -> Any:
        """Answer `/loggers`, as a table, or as JSON if the caller accepts it."""
        from lifecycle.control.loggers import MOST, as_json, as_rows, loggers

        unknown = request.arguments.keys() - {"logger", "name"}
        if unknown:
            raise LifecycleError(
                f"{min(unknown)[:80]!r} is not an argument. Use ?logger=PATTERN.",
                see="command-refused",
            )
        found, count = loggers(_logger(request) or "*", self._log_level())
        if "application/json" in request.accept:
            return as_json(found, count)
        lines = [table(("LOGGER", "LEVEL", "EFFECTIVE"), as_rows(found))]
        if count > MOST:
            lines.append(f"({count - MOST} more. Use ?logger=PATTERN)")
        if self._of_a_command():
            lines.append("(the loggers of pod-lifecycle, not those of the command)")
        return "\n".join(lines)

    @inline
    def config(self, _: Request) -> Any:
        """Answer `/config`. Secrets are redacted."""
        return self._settings.public() | self._settings.public_options()


def _page(request: Request) -> tuple[int, bool]:
    given = dict(request.arguments)
    limit, stacks = given.pop("limit", str(PAGE)), given.pop("stacks", None) is not None
    if given:
        raise LifecycleError(
            f"{next(iter(given))[:80]!r} is not an argument. Use ?limit=NUMBER and ?stacks.",
            see="command-refused",
        )
    if not (limit.isascii() and limit.isdecimal() and len(limit) < 6 and 0 < int(limit) <= MOST):
        raise LifecycleError(
            f"The argument limit must be a number from 1 to {MOST}.", see="command-refused"
        )
    return int(limit), stacks


def _wait(given: str) -> float:
    try:
        seconds = float(given)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= MOST_SECONDS:
        raise LifecycleError(
            f"The argument wait must be a number of seconds, above 0 and at most {MOST_SECONDS}.",
            see="command-refused",
        )
    return seconds


def _logger(request: Request) -> str:
    if {"logger", "name"} <= request.arguments.keys():
        raise LifecycleError(
            "You named two loggers. Use either /NAME or ?logger=NAME.", see="command-refused"
        )
    return request.arguments.get("logger") or request.arguments.get("name") or ""


def _glob(request: Request) -> str:
    given = dict(request.arguments)
    if {"name", "service"} <= given.keys():
        raise LifecycleError(
            "You named two services. Use either /NAME or ?service=PATTERN.", see="command-refused"
        )
    glob = given.pop("name", given.pop("service", "*"))
    if given:
        # Otherwise a misspelt ?service= would mean all services.
        name = next(iter(given))[:80]
        raise LifecycleError(
            f"{name!r} is not an argument. Use ?service=PATTERN.", see="command-refused"
        )
    return glob
