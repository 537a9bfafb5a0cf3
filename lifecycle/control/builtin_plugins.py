"""The built-in plugins: probes, commands, the page, the drain, the start report, `local`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from lifecycle.contracts import Command, Instance, Level, Registry, Reply, Request, inline
from lifecycle.control.conductor import Conductor
from lifecycle.control.default_commands import DefaultCommands
from lifecycle.control.default_probes import LoopProbe, ServiceProbe, StateProbes
from lifecycle.control.offline_wait import OfflineWait
from lifecycle.control.services import LOCAL
from lifecycle.drain.drain import Drain
from lifecycle.drain.view import view
from lifecycle.hookspecs import hookimpl
from lifecycle.log import Log
from lifecycle.start_report import StartReport
from lifecycle.states import State, Transition
from lifecycle.version import VERSION

HINT: Final = "Open this address in a browser to see the page."


class DrainHandler:
    """
    Takes the app out of traffic. Deregisters when the drain starts, then waits for running work.

    Args:
        withdraw: Deregisters everything.
        prestop: Drains. Returns when preStop may be answered, or when its caller disconnects.
    """

    def __init__(
        self,
        withdraw: Callable[[], None],
        prestop: Callable[[Callable[[], Awaitable[None]]], Awaitable[None]],
    ) -> None:
        self._withdraw = withdraw
        self._prestop = prestop

    @hookimpl
    @inline
    def lifecycle_transition(self, transition: Transition) -> None:
        """Deregister from all registries when the drain starts."""
        if transition.after is State.DRAINING:
            self._withdraw()

    @hookimpl
    @inline
    async def lifecycle_drain(self, drain: Drain) -> None:
        """Wait for the deregistration, `settle`, the running work and the quiet period."""
        await drain.deregistered()
        await drain.idle()

    @hookimpl
    @inline
    def lifecycle_commands(self) -> Command:
        """Return the command `prestop`."""
        return Command(
            "prestop",
            self.prestop,
            "drain the app, answer when it is ready for SIGTERM",
            Level.PRIVATE,
            changes=True,
            timeout=None,
            token_get=True,
        )

    @inline
    async def prestop(self, request: Request) -> str:
        """Drain, and answer when the drain is over."""
        await self._prestop(request.gone)
        return "drained"


class StartHandler:
    """
    Ends the start report when the app is READY, or when a drain starts before that.

    Args:
        report: The report.
        log: The log for the event `start report`.
    """

    def __init__(self, report: StartReport, log: Log) -> None:
        self._report = report
        self._log = log

    @hookimpl
    @inline
    def lifecycle_transition(self, transition: Transition) -> None:
        """Note the end of the start, and of its last step."""
        if transition.before is State.STARTING and not transition.after.leaving:
            self._report.main()
        if self._report.over or not (transition.after is State.READY or transition.after.leaving):
            return
        self._report.finish()
        found = self._report.summary()
        cause = transition.cause if transition.after.leaving else ""
        more = {"unfinished": found.unfinished, "cause": cause}
        self._log.info(
            "start report",
            seconds=found.seconds,
            slowest=found.slowest,
            steps=found.steps,
            **{name: value for name, value in more.items() if value},
        )


class LocalRegistry(Registry):
    """Registers in this process only, so that you need no service registry on a laptop."""

    name = LOCAL

    def __init__(self) -> None:
        self.instances: dict[str, Instance] = {}

    async def register(self, instance: Instance) -> None:
        """Register at once."""
        self.instances[instance.id] = instance

    async def deregister(self, instance: Instance) -> None:
        """Deregister at once."""
        self.instances.pop(instance.id, None)

    async def keep(self, instance: Instance) -> str:  # noqa: ARG002 - a registration is never lost
        """Keep the registration until the process ends."""
        never: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        return await never


class LocalRegistryPlugin:
    """The `local` registry, as a plugin."""

    @hookimpl
    @inline
    def lifecycle_registries(self) -> Registry:
        """Return the registry."""
        return LocalRegistry()


class PagePlugin:
    """
    The page for a browser, `GET /`. Other clients get the list of all paths.

    Args:
        state: Returns the state of the app.
        paths: Returns the list of all paths, as text.
    """

    def __init__(self, state: Callable[[], State], paths: Callable[[], str]) -> None:
        self._state = state
        self._paths = paths

    @hookimpl
    @inline
    def lifecycle_commands(self) -> Command:
        """Return the command without a name."""
        return Command("", self.page, "the page for a browser, or this list")

    def page(self, request: Request) -> Reply:
        """Answer in a worker thread, because the first call reads the files of the page."""
        if "text/html" not in request.accept.lower():
            return Reply(
                f"pod-lifecycle {VERSION}, {self._state().upper()}. {HINT}\n\n{self._paths()}"
            )
        from lifecycle.page.document import page  # imported only for the page

        return page()


class Builtin(NamedTuple):
    """One built-in plugin, and the name that turns it off with `-p no:NAME`."""

    name: str
    plugin: object


NAMES: Final = ("state", "services", "loop", "start", "drain", "local", "page", "commands")


def builtins(conductor: Conductor) -> list[Builtin]:
    """Make the built-in plugins, in the order in which their probe results are shown."""
    config, services = conductor.config, conductor.services
    patience = config.probe_timeout / 2
    commands = DefaultCommands(
        commands=conductor.commands,
        services=services,
        settings=config,
        snapshot=conductor.snapshot,
        in_flight=lambda limit, stacks: view(conductor.traffic, limit, stacks=stacks),
        online=conductor.set_online,
        offline=conductor.set_offline,
        until_offline=OfflineWait(
            settings=config,
            services=services,
            maintenance=conductor.maintenance,
            traffic=conductor.traffic,
            transitions=conductor.transitions,
            app_loop=conductor.app_loop,
        ),
        of_a_command=lambda: conductor.traffic.of_a_command,
        log_level=lambda: conductor.log.level,
    )
    made = (
        StateProbes(),
        ServiceProbe(services, patience),
        LoopProbe(
            conductor.app_loop,
            config.loop_stall_limit,
            config.ready_stall_limit,
            patience,
        ),
        StartHandler(conductor.start_report, conductor.log),  # before a drain withdraws anything
        DrainHandler(services.withdraw, conductor.departure.prestop),
        LocalRegistryPlugin(),
        PagePlugin(lambda: conductor.transitions.state, commands.paths),
        commands,
    )
    return [Builtin(name, plugin) for name, plugin in zip(NAMES, made, strict=True)]
