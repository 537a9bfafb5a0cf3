"""
The work of the control thread: exporting and registering services, READY, and the snapshot.

Rules of this file:

1. After the drain has started, every wait has a deadline from the timetable.
2. The code here never waits for the app's loop without such a deadline.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING, Final

from lifecycle.calls.app_loop import AppLoop
from lifecycle.calls.dispatch import Delivery, Own, Shared
from lifecycle.calls.plugins import Implementation, Plugins
from lifecycle.calls.threads import run_soon
from lifecycle.calls.transitions import Transitions
from lifecycle.contracts import Command, Instance, Kind
from lifecycle.control.maintenance import Maintenance
from lifecycle.control.plugin_activation import PluginActivation
from lifecycle.control.probes import Probes
from lifecycle.control.service_entry import ServiceEntry
from lifecycle.control.services import OPERATOR, Services, some
from lifecycle.drain.departure import Departure
from lifecycle.drain.host import Host, Parts
from lifecycle.drain.in_flight import Traffic
from lifecycle.environment_variables import pod_name
from lifecycle.exceptions import Draining, LifecycleError, page_of, text_of
from lifecycle.links import help_page
from lifecycle.log import Log
from lifecycle.settings import Settings
from lifecycle.start_report import StartReport
from lifecycle.states import Event, State, transition_status
from lifecycle.version import VERSION

if TYPE_CHECKING:
    from lifecycle.status_records import Snapshot

LIVENESS_START: Final = 0.05
"""Seconds after which a liveness probe on a busy loop keeps its last result."""

_PROBE_HOOKS: Final = {
    "lifecycle_startup": Kind.STARTUP,
    "lifecycle_readiness": Kind.READINESS,
    "lifecycle_liveness": Kind.LIVENESS,
}


class Conductor:
    """Owns the state machine, the services, the probes and the drain of one `Lifecycle`."""

    def __init__(
        self,
        life: object,
        host: Host,
        config: Settings,
        plugins: Plugins,
        app_loop: AppLoop,
        traffic: Traffic,
        start_report: StartReport,
        log: Log,
    ) -> None:
        self.config = config
        self.plugins = plugins
        self.app_loop = app_loop
        self.log = log
        self.transitions = Transitions(life, log)
        self.start_report = start_report
        self.probes = Probes(app_loop, log, start_report)
        self.services = Services(
            register_timeout=config.register_timeout,
            log=log,
            start_report=start_report,
            settle=config.settle,
        )
        self.traffic = traffic
        traffic.claim()
        self.maintenance = Maintenance(
            life=life,
            settle=lambda: self.services.settle.seconds,
            traffic=traffic,
            transitions=self.transitions,
            log=log,
        )
        self.services.on_held = self.maintenance.held
        self.commands: dict[str, tuple[Command, Own]] = {}
        self.departure = Departure(
            Parts(
                host=host,
                life=life,
                config=config,
                transitions=self.transitions,
                registrations=self.services,
                app_loop=app_loop,
                traffic=traffic,
                log=log,
                close=self.close,
            )
        )
        self.activation = PluginActivation(
            plugins=plugins,
            services=self.services,
            config=config,
            app_loop=app_loop,
            log=log,
            commands=self.commands,
            life=life,
            put_to_work=self.install,
            take_out=self.uninstall,
            timed=start_report.step,
        )
        self.start_calls: list[Own] = []
        self.life = life
        self._loop = asyncio.get_running_loop()
        self.clock = self._loop.time
        self._readying: asyncio.Task[None] | None = None

    # Plugins

    def install(self, implementations: Iterable[Implementation]) -> None:
        """Install hook implementations."""
        timeout = self.config.probe_timeout
        for each in implementations:
            if kind := _PROBE_HOOKS.get(each.hook):
                soon = LIVENESS_START if kind is Kind.LIVENESS else None
                self.probes.add(kind, Shared(each, self.app_loop, timeout, soon), self.life)
            elif each.hook == "lifecycle_transition":
                self.transitions.tell(Delivery(each, self.app_loop, timeout))
            elif each.hook == "lifecycle_start":
                self.start_calls.append(Own(each, self.app_loop, None))
            elif each.hook == "lifecycle_offline":
                self.maintenance.install(Own(each, self.app_loop, None))
            elif each.hook == "lifecycle_drain":
                self.departure.hooks.drain.append(Own(each, self.app_loop, None))
            elif each.hook == "lifecycle_stop":
                self.departure.hooks.stop.append(Own(each, self.app_loop, None))

    def uninstall(self, registrations: Collection[object]) -> None:
        """Remove the hook implementations of a plugin."""
        self.probes.remove(registrations)
        self.transitions.tell_no_more(registrations)
        self.maintenance.uninstall(registrations)
        hooks = self.departure.hooks
        for calls in (self.start_calls, hooks.drain, hooks.stop):
            calls[:] = [c for c in calls if c.implementation.registration not in registrations]

    async def start(self) -> None:
        """
        Wait until every `lifecycle_start` hook has returned, or the drain has started.

        Raises:
            LifecycleError: A hook has raised.
        """
        left = asyncio.create_task(self.transitions.reached[State.DRAINING].wait())
        asked = {asyncio.create_task(self._ask_to_start(call)) for call in self.start_calls}
        try:
            while asked and not self.transitions.state.leaving:
                done, _ = await asyncio.wait({left, *asked}, return_when=asyncio.FIRST_COMPLETED)
                refusals = [found for each in done & asked if (found := each.result())]
                if refusals and not self.transitions.state.leaving:
                    raise LifecycleError("; ".join(map(str, refusals)), see=refusals[0].see)
                asked -= done
        finally:
            for each in (left, *asked):
                each.cancel()

    async def _ask_to_start(self, call: Own) -> LifecycleError | None:
        with self.start_report.step(f"lifecycle_start of {call.plugin}"):
            outcome = await call(life=self.life)
        see = page_of(outcome.error) or "plugin-refuses-the-start"
        if isinstance(outcome.error, LifecycleError):
            return LifecycleError(f"plugin {call.plugin!r}: {text_of(outcome.error)}", see=see)
        if problem := outcome.problem():
            return LifecycleError(f"plugin {call.plugin!r}: lifecycle_start {problem}", see=see)
        return None

    # States

    def export(self, instance: Instance) -> ServiceEntry:
        """
        Export a service. After READY, it is registered in the background.

        Raises:
            Draining: The drain has started.
        """
        self._refuse_leaving("export")
        entry = self.services.export(instance)
        if self.transitions.state is State.STARTING:
            self.transitions.fire(Event.EXPORT, f"export {instance.service}")
        return entry

    def make_ready(self) -> None:
        """Start to register all services. The app is READY when all are acknowledged."""
        self._refuse_leaving("ready")
        if self._readying is not None:
            return
        if self.transitions.state is State.STARTING:
            self.transitions.fire(Event.EXPORT, "ready without services")
        self.services.register()
        self._readying = asyncio.create_task(self._become_ready())

    async def _become_ready(self) -> None:
        try:
            await self._register_all()
        except Exception as error:  # noqa: BLE001 - otherwise `ready()` would never return
            problem = f"{type(error).__name__}: {error}"
            self.log.error("not ready", problem=problem, see=help_page("not-ready"))  # noqa: TRY400
            self.transitions.became_ready.fail(error)

    async def _register_all(self) -> None:
        services = self.services
        await services.until(lambda: services.all_confirmed or services.refusal() is not None)
        if (refusal := services.refusal()) is not None:
            self.transitions.became_ready.fail(refusal)
            return
        if not self.transitions.state.leaving:
            names = some(services.entries, len(services.entries)) or "no services"
            self.transitions.fire(Event.REGISTER, f"registered {names}")
            self.transitions.fire(Event.READY, "ready")
            self.transitions.became_ready.set(None)

    def set_offline(self, glob: str, reason: str) -> list[str]:
        """
        Take services offline for an administrator. While draining, this does nothing.

        Raises:
            ServiceNotFound: No service matches.
        """
        names = self.services.matching(glob)
        if not self.transitions.state.leaving:
            self.services.hold(names, OPERATOR, reason)
        return names

    def set_online(self, glob: str) -> list[str]:
        """
        Remove the offline reason of an administrator.

        Raises:
            ServiceNotFound: No service matches.
            Draining: The drain has started.
        """
        self._refuse_leaving("online")
        names = self.services.matching(glob)
        self.services.release(names, OPERATOR)
        return names

    def _refuse_leaving(self, what: str) -> None:
        if self.transitions.state.leaving:
            raise Draining(
                f"{what} is not possible while the app is {self.transitions.state}", see="draining"
            )

    def post(self, function: Callable[[], object]) -> None:
        """Run a function on the control loop, from any thread."""
        run_soon(self._loop, function)

    def over(self) -> None:
        """Report that the app has ended. All waiters get an error."""
        error = Draining("the app has ended, so the wait is over", see="draining")
        self.transitions.over(error)
        self.departure.over(error)

    async def close(self, timeout: float) -> None:
        """Deliver the last transitions, then close background probes and registries."""
        began = self.clock()
        await self.transitions.close(timeout * 0.8)
        self.probes.close()
        if self._readying is not None:
            self._readying.cancel()  # the app has ended before it was READY
        await self.services.close(timeout - (self.clock() - began))

    def snapshot(self) -> Snapshot:
        """Return the complete state of the app, as `/status` shows it."""
        now, totals, oldest = self.clock(), self.traffic.totals, self.traffic.oldest()
        drain = self.departure.drain
        settle = self.services.settle if drain is None else drain.settle_time
        return {
            "state": self.transitions.state.value,
            "since": self.transitions.since,
            "in_flight": self.traffic.in_flight,
            "oldest_in_flight": None if oldest is None else round(oldest, 3),
            "requests": totals.requests,
            "told_to_go": totals.told_to_go,
            "services": self.services.status(),
            "probes": self.probes.status(now),
            "probe_runs": self.probes.runs(),
            "registration_runs": [
                {"registry": name, **each.status()}
                for name, each in self.services.durations.items()
                if sum(each.counts)
            ],
            "loop_lag": round(self.app_loop.lag(), 3),
            "transitions": [transition_status(each) for each in self.transitions.history],
            "start": self.start_report.status(),
            "settle": settle.seconds,
            "settle_from": settle.registry,
            "maintenance": self.maintenance.status(now),
            "drain": self.departure.snapshot(now),
            "command": self.traffic.of_a_command,
            "workers": self.traffic.workers(),
            "plugins": self.plugins.status(),
            "pid": os.getpid(),
            "version": VERSION,
            "pod": pod_name(),
            "namespace": os.environ.get("POD_NAMESPACE", ""),
            "now": round(time.time(), 3),
        }
