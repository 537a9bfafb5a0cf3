"""The default commands of the QOS port: `/status`, `/offline`, `/config` and their like. A plugin."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from lifecycle.contracts import Command, Level, Reply, Request, inline
from lifecycle.control.services import Services
from lifecycle.exceptions import LifecycleError
from lifecycle.hookspecs import hookimpl
from lifecycle.plain import table
from lifecycle.settings import Settings
from lifecycle.version import VERSION

if TYPE_CHECKING:
    from lifecycle.status_records import Snapshot


class DefaultCommands:
    """
    What the QOS port answers besides the probes and preStop.

    Args:
        commands: All there are, by name, for `/help`; a plugin's may be added later.
        services: The table.
        settings: What is set.
        snapshot: Gives what `/status` shows.
        online: Releases the operator's hold on services by a glob; names them.
        offline: Holds services by a glob, for a reason; names them.
        of_a_command: Tells whether a command serves, in processes of its own.
    """

    def __init__(
        self,
        *,
        commands: Mapping[str, tuple[Command, object]],
        services: Services,
        settings: Settings,
        snapshot: Callable[[], Snapshot],
        online: Callable[[str], list[str]],
        offline: Callable[[str, str], list[str]],
        of_a_command: Callable[[], bool],
    ) -> None:
        self._commands = commands
        self._services = services
        self._settings = settings
        self._snapshot = snapshot
        self._online = online
        self._offline = offline
        self._of_a_command = of_a_command

    @hookimpl
    @inline
    def lifecycle_commands(self) -> Iterable[Command]:
        """Give them."""
        return [
            Command("status", self.status, "everything there is to see, as JSON"),
            Command("ls", self.ls, "services and where they are registered"),
            Command("help", self.help, "this list"),
            Command("version", self.version, "the version of pod-lifecycle"),
            Command("online", self.online, "release services: ?service=GLOB", changes=True),
            Command("offline", self.offline, "hold services: ?service=GLOB", changes=True),
            Command("log-level", self.log_level, "?level=LEVEL&logger=NAME", changes=True),
            Command("config", self.config, "what is set, and from where", Level.PRIVATE),
        ]

    @inline
    def status(self, _: Request) -> Any:
        """Answer `/status`."""
        return self._snapshot()

    @inline
    def ls(self, _: Request) -> str:
        """Answer `/ls`."""
        rows = [
            (
                entry.instance.service,
                entry.instance.port or "-",
                "online" if entry.online else f"offline ({', '.join(entry.held_by)})",
                " ".join(
                    f"{name}({registration.actual})"
                    for name, registration in entry.registrations.items()
                )
                or "-",
            )
            for entry in self._services.entries.values()
        ]
        if not rows:
            return "no services exported"
        return table(("SERVICE", "PORT", "STATE", "REGISTERED"), rows)

    @inline
    def help(self, _: Request) -> str:
        """Answer `/help`."""
        probes = [
            ("GET", "/live", "PUBLIC", "liveness; ?verbose, ?exclude=NAME, /live/NAME"),
            ("GET", "/ready", "PUBLIC", "readiness"),
            ("GET", "/startup", "PUBLIC", "startup"),
        ]
        commands = [
            ("POST" if command.changes else "GET", f"/{name}", command.level.name, command.help)
            for name, (command, _) in self._commands.items()
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
        """Release the operator's hold."""
        return "OK: " + ", ".join(self._online(_glob(request)))

    @inline
    def offline(self, request: Request) -> str:
        """Hold services offline for the operator."""
        return "OK: " + ", ".join(self._offline(_glob(request), request.caller))

    @inline
    def log_level(self, request: Request) -> Reply:
        """Set the level of a standard logger."""
        import logging

        levels = logging.getLevelNamesMapping()
        level = request.arguments.get("level", "").upper()
        if level not in levels:
            return Reply(f"level must be one of {', '.join(levels)}", 400)
        if {"logger", "name"} <= request.arguments.keys():
            return Reply("two loggers are named; give one, as /NAME or as ?logger=NAME", 400)
        name = request.arguments.get("logger") or request.arguments.get("name") or ""
        logging.getLogger(name or None).setLevel(levels[level])
        own = "; the command's own log is as it was" if self._of_a_command() else ""
        return Reply(f"OK: {name or 'root'} at {level}{own}")

    @inline
    def config(self, _: Request) -> Any:
        """Answer `/config`, secrets redacted."""
        return self._settings.public() | self._settings.public_options()


def _glob(request: Request) -> str:
    given = dict(request.arguments)
    if {"name", "service"} <= given.keys():
        raise LifecycleError("two services are named; give one, as /NAME or as ?service=GLOB")
    glob = given.pop("name", given.pop("service", "*"))
    if given:
        # Without this, a misspelt ?service= would be all services.
        raise LifecycleError(f"{next(iter(given))[:80]!r} is no argument; it takes ?service=GLOB")
    return glob
