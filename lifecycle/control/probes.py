"""
The results of the three probes, made from the answers of all plugins.

Rules of this file:

1. A probe passes if all its answers pass. Each answer keeps the name of its plugin.
2. Answers of plugins are cached for `FRESH` seconds. The state of the app is never cached.
3. Only the heartbeat decides about the app's loop. If a liveness probe cannot run because the
   loop is busy, it keeps its last answer, marked as stale.
4. A startup probe runs until it has passed once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from lifecycle.calls.app_loop import AppLoop
from lifecycle.calls.dispatch import Shared
from lifecycle.calls.runs import Outcome, Status
from lifecycle.contracts import Kind, ProbeResult
from lifecycle.exceptions import text_of
from lifecycle.links import help_page
from lifecycle.log import Log
from lifecycle.plain import one_line
from lifecycle.start_report import StartReport, Step

if TYPE_CHECKING:
    from lifecycle.calls.durations import Durations
    from lifecycle.status_records import ProbeRuns, ProbeStatus

FRESH: Final = 0.5
"""Seconds for which the answer of a plugin is cached."""

STARTUP: Final = "startup"
"""The name of the startup result in readiness. Shown until it passes, or if asked by name."""

_BEFORE_FIRST: Final = {Kind.STARTUP: False, Kind.READINESS: False, Kind.LIVENESS: True}


class Answer(NamedTuple):
    """One answer of a probe, safe for one line. `at` is its time on the control loop's clock."""

    plugin: str
    name: str
    ok: bool
    reason: str
    ms: float
    at: float
    stale: bool = False

    def status(self, kind: Kind, now: float) -> ProbeStatus:
        """Return the answer as `/status` shows it."""
        return {
            "kind": kind.value,
            "name": self.name,
            "ok": self.ok,
            "ms": self.ms,
            "reason": self.reason,
            "age": round(now - self.at, 3),
        }


class Verdict(NamedTuple):
    """The result of `/live`, `/ready` or `/startup`, with all answers."""

    kind: Kind
    answers: tuple[Answer, ...]

    @property
    def ok(self) -> bool:
        """True if every answer has passed."""
        return all(answer.ok for answer in self.answers)


class Probe:
    """One probe of one plugin, with its cached answers."""

    def __init__(self, kind: Kind, call: Shared, app_loop: AppLoop) -> None:
        self.kind = kind
        self.plugin = call.plugin
        self.registration = call.implementation.registration
        """Identifies the installation of the plugin. A plugin may be removed and added again."""
        self.removed = False
        """True once the plugin is removed. Later answers do not count."""
        self.every = call.implementation.options.every
        self.inline = call.implementation.inline
        self._call = call
        self._app_loop = app_loop
        self._last: tuple[Answer, ...] | None = None

    async def answers(self, life: Any) -> tuple[Answer, ...]:
        """Return the answers: new ones, cached ones, or those of the last background run."""
        now = asyncio.get_running_loop().time()
        if self.every is not None:
            return self._last if self._last is not None else (self._not_yet(now),)
        kept = self._last
        if kept and now - kept[0].at < FRESH and not self.inline:
            return kept
        return await self.ask(life)

    async def ask(self, life: Any) -> tuple[Answer, ...]:
        """Run the probe now, or share the run that has already started."""
        outcome = await self._call(life=life)
        answers = self._read(outcome, asyncio.get_running_loop().time())
        self._last = tuple(
            a._replace(name=one_line(a.name), reason=one_line(a.reason)) for a in answers
        )
        return self._last

    @property
    def durations(self) -> Durations | None:
        """The durations of the runs so far. None before the first one, and for built-in plugins."""
        return self._call.durations

    def close(self) -> None:
        """Stop the probe. A run on the app's loop is cancelled."""
        self._call.close()

    def _not_yet(self, now: float) -> Answer:
        ok = _BEFORE_FIRST[self.kind]
        return Answer(self.plugin, self.plugin, ok, "not run yet", 0.0, now, stale=True)

    def _read(self, outcome: Outcome, now: float) -> tuple[Answer, ...]:
        ms = round(outcome.seconds * 1000, 3)
        if outcome.status is Status.ANSWERED:
            try:
                return tuple(
                    Answer(self.plugin, self._full_name(r), r.ok, r.reason, ms, now)
                    for r in interpret(outcome.value)
                )
            except TypeError as error:
                return (Answer(self.plugin, self.plugin, False, text_of(error), ms, now),)
            except BaseException as error:  # noqa: BLE001 - a property of a foreign subclass
                reason = f"the answer raised {type(error).__name__}: {text_of(error)}"
                return (Answer(self.plugin, self.plugin, False, reason, ms, now),)
        if self.kind is Kind.LIVENESS and self._loop_is_to_blame(outcome):
            kept = self._last or (self._not_yet(now),)
            return tuple(a._replace(stale=True, reason=outcome.problem(), ms=ms) for a in kept)
        return (Answer(self.plugin, self.plugin, False, outcome.problem(), ms, now),)

    def _full_name(self, result: ProbeResult) -> str:
        return f"{self.plugin}.{result.name}" if result.name else self.plugin

    def _loop_is_to_blame(self, outcome: Outcome) -> bool:
        if outcome.status is Status.UNSTARTED:
            return True
        return outcome.status is Status.LATE and not outcome.blocking and self._app_loop.busy()


def interpret(value: Any) -> tuple[ProbeResult, ...]:
    """
    Turn the return value of a probe into answers.

    Raises:
        TypeError: The value is not an answer. The message lists the allowed types.
    """
    if value is None:
        return (ProbeResult(ok=True),)
    if isinstance(value, bool):
        return (ProbeResult(ok=value),)
    if isinstance(value, ProbeResult):
        return (value,)
    # No other iterable, because iterating over it would run foreign code here.
    if type(value) in (list, tuple, set, frozenset):
        several = tuple(value)
        if all(isinstance(each, ProbeResult) for each in several):
            return several or (ProbeResult(ok=True),)
    shown = repr(value[:50]) if type(value) in (str, bytes) else ""
    shown = shown or (repr(value) if type(value) in (int, float) else f"a {type(value).__name__}")
    wanted = "a bool, a ProbeResult, several ProbeResults, or None"
    raise TypeError(f"returned {shown}, but a probe must return {wanted}")


class Probes:
    """
    All probes of one `Lifecycle`. For the control loop.

    Args:
        app_loop: The app's loop.
        log: The log. Only changes of an answer are logged.
        start_report: Gets the seconds from the first call of a startup probe to its success.
    """

    def __init__(
        self, app_loop: AppLoop, log: Log, start_report: StartReport | None = None
    ) -> None:
        self._start_report = start_report
        self._start_steps: dict[str, Step] = {}
        self._app_loop = app_loop
        self._log = log
        self._probes: dict[Kind, list[Probe]] = {kind: [] for kind in Kind}
        self._known: dict[tuple[Kind, str], Answer] = {}
        self._latched: set[str] = set()
        self._background: dict[Probe, asyncio.Task[None]] = {}
        self.started = False

    def add(self, kind: Kind, call: Shared, life: Any) -> None:
        """Add the probe of a plugin."""
        probe = Probe(kind, call, self._app_loop)
        self._probes[kind].append(probe)
        if probe.every is not None:
            self._background[probe] = asyncio.create_task(self._repeat(probe, probe.every, life))

    def remove(self, registrations: Collection[object]) -> None:
        """Remove the probes of a plugin. Their running calls are abandoned."""
        for kind, probes in self._probes.items():
            gone = [each for each in probes if each.registration in registrations]
            self._probes[kind] = [each for each in probes if each not in gone]
            for probe in gone:
                probe.removed = True
                probe.close()
                if (task := self._background.pop(probe, None)) is not None:
                    task.cancel()
                if kind is Kind.STARTUP:
                    self._latched.discard(probe.plugin)
            self._forget(kind, {each.plugin for each in gone}, ())

    def close(self) -> None:
        """Stop all probes, also those in the background."""
        for task in self._background.values():
            task.cancel()
        for probes in self._probes.values():
            for probe in probes:
                probe.close()

    async def _repeat(self, probe: Probe, every: float, life: Any) -> None:
        while True:
            self._note(probe.kind, await probe.ask(life))
            await asyncio.sleep(every)

    def names(self, kind: Kind) -> list[str]:
        """Return the names that `only` and `exclude` may use."""
        plugins = [probe.plugin for probe in self._probes[kind]]
        answers = [name for known, name in self._known if known is kind]
        verdicts = [STARTUP] if kind is Kind.READINESS else []
        return sorted({*plugins, *answers, *verdicts})

    async def verdict(
        self, kind: Kind, life: Any, *, only: str = "", exclude: Collection[str] = ()
    ) -> Verdict:
        """
        Run all probes of a kind in parallel, and return the result.

        Args:
            kind: The kind of probe.
            life: The `Lifecycle`, which is passed to the plugins.
            only: The name of a probe or plugin. Run only this one.
            exclude: Names of probes or plugins that do not count.
        """
        asked = [p for p in self._probes[kind] if self._asked(p, only, exclude)]
        self._measure(asked)
        startup: Answer | None = None
        wanted = only == STARTUP if only else not self.started
        if kind is Kind.READINESS and wanted:
            many, startup = await asyncio.gather(
                _side_by_side(asked, life), self._startup_for_readiness(life)
            )
        else:
            many = await _side_by_side(asked, life)
        answers = [a for p, each in zip(asked, many, strict=True) if not p.removed for a in each]
        asked = [p for p in asked if not p.removed]
        self._note(kind, answers)
        if kind is Kind.STARTUP:
            self._latch({probe.plugin for probe in asked}, answers)
            answers += self._latched_answers(asked)
        if only:
            answers = [a for a in answers if only in (a.name, a.plugin)]
        if startup is not None:
            answers.append(startup)
        return Verdict(kind, tuple(a for a in answers if a.name not in exclude))

    def _asked(self, probe: Probe, only: str, exclude: Collection[str]) -> bool:
        if probe.plugin in exclude:
            return False
        if probe.kind is Kind.STARTUP and (self.started or probe.plugin in self._latched):
            return False
        return not only or only == probe.plugin or only.startswith(f"{probe.plugin}.")

    def _measure(self, asked: Iterable[Probe]) -> None:
        """Start to measure the startup probes that are called for the first time."""
        for probe in asked:
            name, ours = probe.plugin, probe.kind is not Kind.STARTUP or probe.inline
            if self._start_report is None or ours or name in self._start_steps:
                continue
            # The kubelet may ask for the first time when the app is READY already.
            step = self._start_report.begin(f"startup probe {name}", after_ready=True)
            self._start_steps[name] = step

    def _latch(self, asked: set[str], answers: Iterable[Answer]) -> None:
        passed = asked - {answer.plugin for answer in answers if not answer.ok}
        if self._start_report is not None:
            for plugin in passed - self._latched:
                self._start_report.end(self._start_steps.get(plugin))
        self._latched |= passed
        self.started |= {probe.plugin for probe in self._probes[Kind.STARTUP]} <= self._latched

    def _latched_answers(self, asked: list[Probe]) -> list[Answer]:
        fresh = {probe.plugin for probe in asked}
        known = (a for (kind, _), a in self._known.items() if kind is Kind.STARTUP)
        return [a for a in known if a.plugin in self._latched - fresh]

    async def _startup_for_readiness(self, life: Any) -> Answer:
        startup = await self.verdict(Kind.STARTUP, life)
        waiting = ", ".join(a.name for a in startup.answers if not a.ok)
        now = asyncio.get_running_loop().time()
        reason = f"waiting for {waiting}" if waiting else ""
        return Answer(STARTUP, STARTUP, startup.ok and self.started, reason, 0.0, now)

    def _note(self, kind: Kind, answers: Iterable[Answer]) -> None:
        # If several answers have the same name, a failed one counts, so that the log does not flap.
        by_name = {a.name: a for a in sorted(answers, key=lambda a: a.ok, reverse=True)}
        for answer in by_name.values():
            before = self._known.get((kind, answer.name))
            was = _BEFORE_FIRST[kind] if before is None else before.ok
            self._known[kind, answer.name] = answer
            if was is not answer.ok:
                say = self._log.info if answer.ok else self._log.warning
                say(
                    "probe",
                    kind=kind.value,
                    probe=answer.name,
                    ok=answer.ok,
                    reason=answer.reason,
                    see="" if answer.ok else help_page("probe-failed"),
                )
        self._forget(kind, {a.plugin for a in by_name.values()}, by_name)

    def _forget(self, kind: Kind, plugins: set[str], said: Collection[str]) -> None:
        # Remove names that the plugin no longer uses, for example its own name from a late answer.
        gone = [k for k, a in self._known.items() if k[0] is kind and a.plugin in plugins]
        for key in gone:
            if key[1] not in said and not self._known.pop(key).ok:
                self._log.info("probe", kind=kind.value, probe=key[1], ok=True, reason="gone")

    def status(self, now: float) -> list[ProbeStatus]:
        """Return the last answer of every probe, as `/status` shows it."""
        return [answer.status(kind, now) for (kind, _), answer in self._known.items()]

    def runs(self) -> list[ProbeRuns]:
        """Return how long the runs of each plugin's probe took, as `/status` shows it."""
        return [
            {"kind": kind.value, "plugin": probe.plugin, **probe.durations.status()}
            for kind, probes in self._probes.items()
            for probe in probes
            if probe.durations is not None
        ]


async def _side_by_side(probes: list[Probe], life: Any) -> list[tuple[Answer, ...]]:
    if len(probes) == 1:  # the usual case needs no tasks
        return [await probes[0].answers(life)]
    return await asyncio.gather(*(probe.answers(life) for probe in probes))
