"""The failures of the kubelet's probes, from its events. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from lifecycle_fleet.view.pod import moment
from lifecycle_fleet.why.events import MANY, Event, reported
from lifecycle_fleet.why.facts import PROBES, Container, Facts
from lifecycle_fleet.why.finding import Found
from lifecycle_fleet.why.reading import (
    Object,
    mapping,
    number,
    part,
    seconds,
    text,
    texts,
    whole,
)

SIGNALLED: Final = (137, 143)
"""The exit codes after SIGKILL and SIGTERM."""
AT_DEADLINE: Final = 124
"""The exit code of pod-lifecycle after a drain that has cut off work."""
DRAINED: Final = (0, AT_DEADLINE)
"""The exit codes after a drain."""
RECENT: Final = 600.0
"""Seconds after which a restart of a container that is ready again is no longer mentioned."""
STEADY: Final = 60.0
"""Seconds for which a container has to run again, at least, before its last end counts as past."""

_FAILED: Final = re.compile(
    r"(Startup|Readiness|Liveness) probe (?:failed|errored)[^:]*: ?(.*)", re.DOTALL
)
_CODE: Final = re.compile(r"statuscode: (\d{3})")
_NO_ANSWER: Final = re.compile(
    r"deadline exceeded|i/o timeout|timed out|no route to host|network is unreachable",
    re.IGNORECASE,
)
_NOT_FOUND: Final = re.compile(
    r"executable file not found|no such file or directory", re.IGNORECASE
)


class Failure(NamedTuple):
    """
    A probe of a container that fails.

    Attributes:
        container: The container.
        kind: The field of the probe, for example `readinessProbe`.
        message: The report of the kubelet. Empty if there is no event.
        event: The newest event of it, or None.
    """

    container: Container
    kind: str
    message: str = ""
    event: Event | None = None

    @property
    def probe(self) -> Object:
        """The probe in the spec."""
        return self.container.probe(self.kind)

    @property
    def path(self) -> str:
        """The path of the probe in the spec of the pod."""
        return f"{self.container.path}.{self.kind}"

    @property
    def how(self) -> str:
        """The way of the probe: `httpGet`, `tcpSocket`, `grpc` or `exec`, or empty."""
        ways = ("httpGet", "tcpSocket", "grpc", "exec")
        return next((each for each in ways if mapping(self.probe, each)), "")

    @property
    def port(self) -> object:
        """The port, a number or a name."""
        return part(self.probe, self.how, "port") if self.how else None

    @property
    def url(self) -> str:
        """The path of the URL that the probe requests."""
        return text(self.probe, "httpGet", "path") or "/"

    @property
    def command(self) -> tuple[str, ...]:
        """The words of the command that the probe runs."""
        return texts(self.probe, "exec", "command")

    @property
    def refused(self) -> bool:
        """Whether the connection was refused."""
        return "connection refused" in self.message

    @property
    def code(self) -> int:
        """The status code of the answer, or 0."""
        found = _CODE.search(self.message)
        return int(found[1]) if found else 0

    @property
    def unanswered(self) -> bool:
        """Whether there was no answer in time."""
        return _NO_ANSWER.search(self.message) is not None

    @property
    def no_command(self) -> bool:
        """Whether the command of the probe is not in the image."""
        return self.how == "exec" and _NOT_FOUND.search(self.message) is not None

    def is_answer_of_ours(self, facts: Facts) -> bool:
        """Return whether pod-lifecycle itself has answered that the probe fails."""
        if facts.app is None or self.container.name != facts.app.name:
            return False
        if self.how == "exec":
            runs = [each.rpartition("/")[2] for each in self.command[:1]]
            return runs == ["lifecycle"] and not self.no_command
        port = facts.port_of(self.container, self.port)
        return self.code == 503 and port == facts.qos_port

    def evidence(self, facts: Facts) -> str:
        """Return the newest event for people, or nothing."""
        return self.event.quoted(facts.now) if self.event else ""


def failures(facts: Facts) -> Iterator[Failure]:
    """Yield each probe that fails now, with its newest event. A deleted pod has none."""
    if facts.leaving or facts.over:
        return
    for container in facts.containers:
        for kind, word in PROBES.items():
            if container.probe(kind) and _matters(facts, container, kind):
                found = _newest(facts, container, word)
                if found is not None and _is_current(facts, container, kind, found[0]):
                    yield Failure(container, kind, found[1], found[0])


def silent(facts: Facts) -> Iterator[Failure]:
    """Yield each probe that has not passed, if there is no event about it."""
    if facts.leaving or facts.over:
        return
    told = [(each.container.name, each.kind) for each in failures(facts)]
    for container in facts.containers:
        for kind in ("startupProbe", "readinessProbe"):
            failing = (
                container.running and container.probe(kind) and _matters(facts, container, kind)
            )
            if failing and (container.name, kind) not in told:
                yield Failure(container, kind)


def _matters(facts: Facts, container: Container, kind: str) -> bool:
    has_startup = bool(container.probe("startupProbe"))
    if kind == "startupProbe":
        return not container.started
    if kind == "readinessProbe":
        return not container.ready and (container.started or not has_startup)
    return troubled(facts, container) or container.running


def _is_current(facts: Facts, container: Container, kind: str, event: Event) -> bool:
    if not container.running or event.last < container.started_at - 1:
        return _has_ended(facts, container, kind)
    period = whole(container.probe(kind), "periodSeconds", default=10)
    return kind != "livenessProbe" or facts.now - event.last < max(60, 3 * period)


def _has_ended(facts: Facts, container: Container, kind: str) -> bool:
    """
    Return whether a probe may have ended the last run of a container.

    A container that has crashed refuses each probe, which is not the cause of anything. The kubelet
    drops events, so its event about the end may be missing.
    """
    if kind == "readinessProbe" or not troubled(facts, container):
        return False
    if (killed := killed_by(facts, container)) is not None:
        return kind.startswith(killed[0])
    by_signal = whole(container.ended, "exitCode") in (*DRAINED, *SIGNALLED)
    period = number(container.probe(kind), "periodSeconds") or 10.0
    late = not ran(container) or ran(container) >= _seconds(container.probe(kind)) - period
    return by_signal and late and text(container.ended, "reason") != "OOMKilled"


def _newest(facts: Facts, container: Container, word: str) -> tuple[Event, str] | None:
    for event in reversed(facts.events_of("Unhealthy", "ProbeWarning", "ProbeError")):
        found = _FAILED.match(event.message)
        if found and found[1] == word and event.container in ("", container.name):
            return event, found[2]
    return None


def troubled(facts: Facts, container: Container) -> bool:
    """Return whether a container has ended, and has not been started again for a while."""
    if not container.ended:
        return False
    return not container.running or facts.now - ended_at(container) < RECENT


def ended_at(container: Container) -> float:
    """Return when a container has ended the last time, in seconds since the epoch, or 0."""
    return moment(text(container.ended, "finishedAt"))


def if_past(facts: Facts, container: Container, found: Found) -> Found:
    """Return a finding about the end of a container, as a note if the container is ready again."""
    runs = facts.now - container.started_at
    if not (container.running and container.ready and runs > STEADY):
        return found
    again = f"status: container {container.name} is ready again, and has been running for "
    return found._replace(past=True, evidence=(*found.evidence, again + seconds(runs)))


def killed_by(facts: Facts, container: Container) -> tuple[str, Event] | None:
    """
    Return the probe whose failure ended the last run of a container, or ends its present run.

    The kubelet counts the same event again, so of two runs that were ended, only the time of the
    second one is known.
    """
    finished = ended_at(container)
    for event in reversed(facts.events_of("Killing")):
        if event.container not in ("", container.name):
            continue
        for word in ("startup", "liveness"):
            near = not finished or -5 <= finished - event.last <= facts.grace + 60
            near = near or is_of_present_run(container, event)
            if f"failed {word} probe" in event.message and near:
                return word, event
    return None


def is_of_present_run(container: Container, event: Event) -> bool:
    """Return whether the kubelet is ending the run of a container that has not ended yet."""
    return container.running and event.last > container.started_at


def is_being_killed(facts: Facts, container: Container) -> bool:
    """Return whether a probe is ending the present run of a container."""
    killed = killed_by(facts, container)
    return overruns(facts, container) or (
        killed is not None and is_of_present_run(container, killed[1])
    )


def overruns(facts: Facts, container: Container) -> bool:
    """
    Return whether the present run has used up all the time that its startup probe allows.

    The kubelet is ending such a run, also if it has dropped its event about this.
    """
    probe = container.probe("startupProbe")
    if not probe or not container.running or container.started or not container.started_at:
        return False
    period = number(probe, "periodSeconds") or 10.0
    age = facts.now - container.started_at
    if drains(facts, container):
        return age >= budget(container) - period
    # An answer may take as long as timeoutSeconds, and the clock of a node may differ a little.
    late = max(0.0, (number(probe, "timeoutSeconds") or 1.0) - period)
    threshold = number(probe, "failureThreshold") or 3.0
    return age > budget(container) + threshold * late + 2 * period + 2


def drains(facts: Facts, container: Container) -> bool:
    """Return whether a container runs the app, and the app drains."""
    if facts.app is None or facts.app.name != container.name:
        return False
    told = facts.told_now
    return "draining" in (facts.answers.state, told.state if told is not None else "")


def hook_failed(facts: Facts, container: Container) -> Event | None:
    """Return the event about a postStart hook that has ended the last run of a container, or None."""
    finished = ended_at(container)
    for event in reversed(facts.events_of("FailedPostStartHook", container=container.name)):
        if not finished or -5 <= finished - event.last <= facts.grace + 60:
            return event
    return None


def budget(container: Container) -> float:
    """Return the seconds that the startup probe of a container allows."""
    return _seconds(container.probe("startupProbe"))


def patience(container: Container) -> float:
    """Return the seconds after which a failing liveness probe ends a container."""
    return _seconds(container.probe("livenessProbe"))


def _seconds(probe: Object) -> float:
    initial = number(probe, "initialDelaySeconds") or 0.0
    period = number(probe, "periodSeconds") or 10.0
    threshold = number(probe, "failureThreshold") or 3.0
    return initial + period * threshold


def ended(facts: Facts) -> Iterator[Container]:
    """Yield the containers that have ended, and have not run again for a while."""
    if facts.leaving:
        return
    for each in (*facts.init_containers, *facts.containers):
        if troubled(facts, each):
            yield each


def end_of(container: Container) -> str:
    """Return how a container has ended, for people."""
    last = container.ended
    code, reason = whole(last, "exitCode"), text(last, "reason")
    restarts = f", restarted {container.restarts} times" if container.restarts else ""
    said = text(last, "message")
    return f"status: container {container.name}: {reason}, exit code {code}{restarts}" + (
        f": {said}" if said else ""
    )


def ran(container: Container) -> float:
    """Return the seconds for which the last run of a container lasted, or 0."""
    started, finished = moment(text(container.ended, "startedAt")), ended_at(container)
    return finished - started if started and finished else 0.0


def ran_out(facts: Facts, container: Container) -> bool:
    """
    Return whether a container was ended by a signal when its startup probe had run out of time.

    The kubelet drops events of a pod that has many of them, so its event about this may be missing.
    After a drain, the exit code does not tell that there was a signal, but the events may tell that
    the startup probe had failed.
    """
    if not container.probe("startupProbe") or container.started or killed_by(facts, container):
        return False
    code = whole(container.ended, "exitCode")
    by_signal = code in SIGNALLED and text(container.ended, "reason") != "OOMKilled"
    by_signal |= code in DRAINED and _failed_to_start(facts, container)
    period = number(container.probe("startupProbe"), "periodSeconds") or 10.0
    longest = budget(container) + 2 * period + facts.grace + 5
    return by_signal and budget(container) - period <= ran(container) <= longest


def _failed_to_start(facts: Facts, container: Container) -> bool:
    """Return whether an event tells that the startup probe failed in the last run, or may have."""
    found = _newest(facts, container, "Startup")
    began = moment(text(container.ended, "startedAt"))
    if found is None or not began:
        return False
    return found[0].last >= began - 1 or reported(facts.events) >= MANY
