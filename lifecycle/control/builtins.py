"""The default probes, commands and registry, and the drain handler: plugins like any other."""

from __future__ import annotations

import asyncio
import math
import platform
from collections.abc import Awaitable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from lifecycle.calls.app_loop import AppLoop
from lifecycle.calls.moment import Moment
from lifecycle.contracts import (
    Command,
    Instance,
    Level,
    ProbeResult,
    Registry,
    Reply,
    Request,
    inline,
)
from lifecycle.control.services import LOCAL, SHOWN, some
from lifecycle.exceptions import LifecycleError
from lifecycle.hookspecs import hookimpl
from lifecycle.plain import table
from lifecycle.states import State, Transition
from lifecycle.version import VERSION

if TYPE_CHECKING:
    from lifecycle.control.conductor import Conductor
    from lifecycle.drain.handle import Drain


class StateProbes:
    """Startup: READY was reached. Readiness: the state is READY. Liveness: it has not ended."""

    def __init__(self) -> None:
        self._state = State.STARTING
        self._was_ready = False

    @hookimpl
    @inline
    def lifecycle_transition(self, transition: Transition) -> None:
        """Learn the state."""
        self._state = transition.after
        self._was_ready |= transition.after is State.READY

    @hookimpl
    @inline
    def lifecycle_startup(self) -> ProbeResult:
        """READY was reached."""
        return ProbeResult(self._was_ready, f"the state is {self._state}")

    @hookimpl
    @inline
    def lifecycle_readiness(self) -> ProbeResult:
        """The state is READY."""
        return ProbeResult(self._state is State.READY, f"the state is {self._state}")

    @hookimpl
    @inline
    def lifecycle_liveness(self) -> ProbeResult:
        """It has not ended."""
        ended = self._state in (State.STOPPED, State.FAILED)
        return ProbeResult(not ended, f"the state is {self._state}")


class ServiceProbe:
    """
    Readiness: if there are services, at least one is online and acknowledged.

    Once ready, an acknowledgement that is under way is waited for: who sees the registration in
    the registry may ask before the registry's answer is here. The kubelet does, when the readiness
    gate becomes true, and asks again only a period later.
    """

    def __init__(self, conductor: Conductor) -> None:
        self._conductor = conductor
        self._patience = conductor.config.probe_timeout / 2
        self._ready = False

    @hookimpl
    @inline
    def lifecycle_transition(self, transition: Transition) -> None:
        """Learn whether READY has been reached, and not left."""
        self._ready = transition.after is State.READY

    @hookimpl
    @inline
    def lifecycle_readiness(self) -> ProbeResult | Awaitable[ProbeResult]:
        """Ask the table of services."""
        result = self._look()
        if result.ok or not self._ready or not self._conductor.services.asking:
            return result
        return self._look_again()

    async def _look_again(self) -> ProbeResult:
        services = self._conductor.services
        with suppress(TimeoutError):
            async with asyncio.timeout(self._patience):
                await services.until(lambda: bool(services.serving) or not services.asking)
        return self._look()

    def _look(self) -> ProbeResult:
        services = self._conductor.services
        entries, serving = services.entries, services.serving
        if not entries:
            return ProbeResult(ok=True, reason="no services")
        if serving:
            names = (entry.instance.service for entry in serving.first(SHOWN))
            return ProbeResult(ok=True, reason=f"serving {some(names, len(serving))}")
        away = (f"{n} {'unregistered' if e.online else 'offline'}" for n, e in entries.items())
        return ProbeResult(ok=False, reason=some(away, len(entries)))


class LoopProbe:
    """
    Liveness and readiness: from READY on, the app's loop has shown a heartbeat lately.

    Args:
        guest: The app's loop.
        live_limit: Seconds of silence after which the app is not alive; 0: never.
        ready_limit: Seconds of silence after which the app is not ready; 0: when it is not alive.
        patience: Seconds that a silent loop is given to show that it comes round all the same:
            after the whole process has stood still, this probe may be asked before the next beat.
    """

    def __init__(
        self, app_loop: AppLoop, live_limit: float, ready_limit: float, patience: float
    ) -> None:
        self._app_loop = app_loop
        self._patience = patience
        self._silent_since = -math.inf
        self._live_limit = live_limit or math.inf
        self._ready_limit = min(ready_limit or math.inf, self._live_limit)
        self._watching = False

    @hookimpl
    @inline
    def lifecycle_transition(self, transition: Transition) -> None:
        """Watch in READY only: who starts may block, who drains is not shot."""
        self._watching = transition.after is State.READY

    @hookimpl
    @inline
    def lifecycle_liveness(self) -> ProbeResult | Awaitable[ProbeResult]:
        """Look at the age of the last heartbeat."""
        return self._look(self._live_limit)

    @hookimpl
    @inline
    def lifecycle_readiness(self) -> ProbeResult | Awaitable[ProbeResult]:
        """Look at the age of the last heartbeat: who is blocked serves nobody."""
        return self._look(self._ready_limit)

    def _look(self, limit: float) -> ProbeResult | Awaitable[ProbeResult]:
        found = self._verdict(limit)
        if found.ok or self._app_loop.beat_at == self._silent_since:
            return found
        return self._look_again(limit)

    async def _look_again(self, limit: float) -> ProbeResult:
        last = self._app_loop.beat_at
        beaten: Moment[None] = Moment()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._patience):
                if self._app_loop.beat_soon(lambda: beaten.set(None)):
                    await beaten.wait()
        if not beaten.happened:
            self._silent_since = last  # which is not to be waited for once more
        return self._verdict(limit)

    def _verdict(self, limit: float) -> ProbeResult:
        age = self._app_loop.silent_for()
        ok = not self._watching or age <= limit
        return ProbeResult(ok, f"the app's loop was last seen {age:.1f} s ago")


class DrainHandler:
    """Takes the app out of traffic: deregisters at T0, waits until nothing is in flight."""

    def __init__(self, conductor: Conductor) -> None:
        self._conductor = conductor

    @hookimpl
    @inline
    def lifecycle_transition(self, transition: Transition) -> None:
        """Deregister everywhere, at once."""
        if transition.after is State.DRAINING:
            self._conductor.services.withdraw()

    @hookimpl
    @inline
    async def lifecycle_drain(self, drain: Drain) -> None:
        """Wait for the deregistration, the settle time, the work in flight and the quiet."""
        await drain.deregistered()
        await drain.idle()

    @hookimpl
    @inline
    def lifecycle_commands(self) -> Command:
        """Give preStop."""
        return Command(
            "prestop",
            self.prestop,
            "drain; answers when it is safe to send SIGTERM",
            Level.PRIVATE,
            changes=True,
            timeout=None,
            token_get=True,
        )

    @inline
    async def prestop(self, request: Request) -> str:
        """Drain, and answer when it is over."""
        await self._conductor.departure.prestop(request.gone)
        return "drained"


class LocalRegistry(Registry):
    """Registers in this process only, so that a laptop needs nothing."""

    name = LOCAL

    def __init__(self) -> None:
        self.instances: dict[str, Instance] = {}

    async def register(self, instance: Instance) -> None:
        """Acknowledged at once."""
        self.instances[instance.id] = instance

    async def deregister(self, instance: Instance) -> None:
        """Out at once."""
        self.instances.pop(instance.id, None)

    async def keep(self, instance: Instance) -> str:  # noqa: ARG002 - nothing is lost here
        """Keep it for as long as the process lives."""
        never: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        return await never


class LocalRegistryPlugin:
    """The `local` registry, as a plugin."""

    @hookimpl
    @inline
    def lifecycle_registries(self) -> Registry:
        """Give it."""
        return LocalRegistry()


class Commands:
    """What the QOS port answers besides the probes and preStop."""

    def __init__(self, conductor: Conductor) -> None:
        self._conductor = conductor

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
        return self._conductor.snapshot()

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
            for entry in self._conductor.services.entries.values()
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
            for name, (command, _) in self._conductor.commands.items()
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
        return "OK: " + ", ".join(self._conductor.set_online(_glob(request)))

    @inline
    def offline(self, request: Request) -> str:
        """Hold services offline for the operator."""
        return "OK: " + ", ".join(self._conductor.set_offline(_glob(request), request.caller))

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
        return Reply(f"OK: {name or 'root'} at {level}")

    @inline
    def config(self, _: Request) -> Any:
        """Answer `/config`, secrets redacted."""
        config = self._conductor.config
        return config.public() | config.public_options()


def _glob(request: Request) -> str:
    given = dict(request.arguments)
    if {"name", "service"} <= given.keys():
        raise LifecycleError("two services are named; give one, as /NAME or as ?service=GLOB")
    glob = given.pop("name", given.pop("service", "*"))
    if given:
        # Without this, a misspelt ?service= would be all services.
        raise LifecycleError(f"{next(iter(given))[:80]!r} is no argument; it takes ?service=GLOB")
    return glob


class Builtin(NamedTuple):
    """One built-in plugin and the name that `-p no:NAME` knows it by."""

    name: str
    plugin: object


NAMES: Final = ("state", "services", "loop", "drain", "local", "commands")


def builtins(conductor: Conductor) -> list[Builtin]:
    """Make the built-in plugins, in the order their verdicts are shown."""
    config = conductor.config
    made = (
        StateProbes(),
        ServiceProbe(conductor),
        LoopProbe(
            conductor.app_loop,
            config.loop_stall_limit,
            config.ready_stall_limit,
            config.probe_timeout / 2,
        ),
        DrainHandler(conductor),
        LocalRegistryPlugin(),
        Commands(conductor),
    )
    return [Builtin(name, plugin) for name, plugin in zip(NAMES, made, strict=True)]
