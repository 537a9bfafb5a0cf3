"""Rules on containers that end: memory, exit codes, and restarts by probes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lifecycle_fleet.why.events import Event
from lifecycle_fleet.why.facts import Container, Facts
from lifecycle_fleet.why.finding import Found, Saying, Table
from lifecycle_fleet.why.reading import number, objects, seconds, text, whole
from lifecycle_fleet.why.rules.probe_failures import (
    DRAINED,
    Failure,
    budget,
    drains,
    end_of,
    ended,
    failures,
    if_past,
    is_being_killed,
    killed_by,
    overruns,
    patience,
    ran,
    ran_out,
    troubled,
)

RULES: Final[Table[Facts]] = Table()

LOOP: Final = "loop was last seen"
"""A part of the log of a container whose event loop was blocked."""

OOM: Final = Saying(
    "Container {container} used more memory than its limit of {limit}, so the kernel ended it.",
    "In the manifest, set resources.limits.memory higher",
)
OOM_OTHER: Final = Saying(
    "Container {container} was ended by the kernel, because its node or its pod had too little "
    "memory. The container itself has no limit.",
    "In the manifest, set resources.limits.memory, and compare with kubectl describe node",
)


@RULES.add("out-of-memory", OOM, OOM_OTHER)
def out_of_memory(facts: Facts) -> Iterator[Found]:
    """
    A container has used more memory than its limit.

    The kernel ends the container with SIGKILL, so it cannot drain. The exit code is 137, and the
    reason is `OOMKilled`.
    """
    for each in ended(facts):
        if text(each.ended, "reason") == "OOMKilled":
            limit = text(each.spec, "resources", "limits", "memory")
            saying = OOM if limit else OOM_OTHER
            yield if_past(facts, each, saying.found(end_of(each), container=each.name, limit=limit))


TOO_SHORT: Final = Saying(
    "The startup probe of container {container} allows {budget}, but a start of the app has taken "
    "{start}. So the kubelet restarts the container before the app is ready.",
    "In the manifest, set startupProbe.failureThreshold: {threshold}",
)
GUESS: Final = (
    "If the app needs more time, set startupProbe.failureThreshold: {threshold} in the manifest. The "
    "number is a guess. If the kubelet restarts the container again, double it"
)
ROOM: Final = 120.0
"""Seconds that a startup probe gets at least, if it is not known how long the start takes."""

UNFINISHED: Final = Saying(
    "The startup probe of container {container} allows {budget}. A start of the app has taken at "
    "least {start}, and was not finished when the kubelet ended the container.",
    GUESS,
)
PASSED: Final = Saying(
    "The kubelet has restarted container {container}, because its startup probe had not passed within "
    "{budget}. In the present run, the startup probe has passed.",
    "If this happens again, set startupProbe.failureThreshold: {threshold} in the manifest",
    note=True,
)
STEP: Final = Saying(
    "The kubelet restarts container {container} because the app was not ready within {budget}, which "
    "is all that its startup probe allows. This step of the start is running: {steps}.",
    GUESS,
)
NOT_PASSED: Final = Saying(
    "The kubelet restarts container {container} because its startup probe did not pass within "
    "{budget}. Either the app needs longer to start, or something keeps it from becoming ready.",
    GUESS,
)
NO_EVENT: Final = Saying(
    "Container {container} was ended by a signal {after} after its start, before its startup probe "
    "had passed. Either the time that the startup probe allows ({budget}) was over, or another "
    "process has sent the signal.",
    GUESS,
)
DRAINED_EARLY: Final = Saying(
    "Container {container} exited with {code}, {after} after its start. Its startup probe allows "
    "{budget} and has failed, so either the kubelet has ended the container, or the container has "
    "ended by itself.",
    GUESS,
)
ENDING: Final = Saying(
    "Container {container} has been running for {age}, and its startup probe, which allows {budget}, "
    "has not passed. So the kubelet ends the container, and starts it again.",
    GUESS,
)


@RULES.add(
    "startup-budget",
    *(TOO_SHORT, UNFINISHED, PASSED, STEP, NOT_PASSED, NO_EVENT, DRAINED_EARLY, ENDING),
)
def startup_budget(facts: Facts) -> Iterator[Found]:
    """
    The startup probe allows too little time.

    The kubelet restarts a container whose startup probe has not passed after `initialDelaySeconds` +
    `failureThreshold` × `periodSeconds`. With `failureThreshold: 30` and `periodSeconds: 1`, for
    example, the app has 30 s. `lifecycle manifests --start-time SECONDS` writes a probe that is long
    enough.
    """
    for each in () if facts.leaving else facts.containers:
        killed = killed_by(facts, each)
        by_probe = killed is not None and killed[0] == "startup"
        recent = troubled(facts, each) or is_being_killed(facts, each)
        late = ran_out(facts, each) or overruns(facts, each)
        if not (by_probe or late) or not recent:
            continue
        if _is_only_late(facts, each) and not _is_refused_by_registry(facts):
            yield _of_start(facts, each, killed[1] if killed else None)


def _of_start(facts: Facts, container: Container, event: Event | None) -> Found:
    needed, steps = _needed(facts, container), _steps(facts)
    probe = container.probe("startupProbe")
    period = number(probe, "periodSeconds") or 10.0
    threshold = whole(probe, "failureThreshold", default=3)
    at_least = _at_least(facts, container)
    with_event = STEP if steps else NOT_PASSED if at_least is None else UNFINISHED
    otherwise = with_event if event else _without_event(facts, container)
    longest = needed or at_least or 0.0
    more = 4 * threshold, round(2 * longest / period), 0 if needed else round(ROOM / period)
    saying = otherwise if needed is None else TOO_SHORT
    return (PASSED if container.running and container.started else saying).found(
        event.quoted(facts.now) if event else _end(facts, container),
        f"{container.path}.startupProbe: failureThreshold {threshold} by periodSeconds {period:g}",
        container=container.name,
        budget=seconds(budget(container)),
        start=seconds(longest),
        steps=steps,
        after=seconds(ran(container)),
        code=whole(container.ended, "exitCode"),
        age=seconds(facts.now - container.started_at),
        threshold=max(more),
    )


def _without_event(facts: Facts, container: Container) -> Saying:
    if not ran_out(facts, container):
        return ENDING
    return DRAINED_EARLY if whole(container.ended, "exitCode") in DRAINED else NO_EVENT


def _end(facts: Facts, container: Container) -> str:
    if ran_out(facts, container):
        return end_of(container)
    return "state: draining" if drains(facts, container) else f"{container.path}: not started"


def _steps(facts: Facts) -> str:
    return ", ".join(
        f"{text(step, 'name')} ({seconds(number(step, 'seconds') or 0.0)})"
        for step in objects(facts.answers.status, "start", "steps")
        if step.get("running") is True
    )


def _needed(facts: Facts, container: Container) -> float | None:
    """Return the seconds that the start takes, if it takes longer than the probe allows."""
    found = [each for each in (facts.full_start, facts.start) if each is not None]
    longest = max(found, default=0.0)
    return longest if longest > budget(container) else None


def _at_least(facts: Facts, container: Container) -> float | None:
    """Return the seconds of a start that the kubelet has ended, if the app has told them."""
    told = facts.told.start if facts.told is not None and facts.full_start is None else None
    return told if told is not None and told > budget(container) else None


def _is_only_late(facts: Facts, container: Container) -> bool:
    """Return whether the startup probe asks the right thing, as far as this is known."""
    for each in failures(facts):
        if each.container.name == container.name and each.kind == "startupProbe":
            return each.is_answer_of_ours(facts) or _is_right_port(facts, each)
    return True


def _is_right_port(facts: Facts, failure: Failure) -> bool:
    port = facts.port_of(failure.container, failure.port)
    app = facts.app is not None and facts.app.name == failure.container.name
    return failure.refused and ((app and port == facts.qos_port) or _is_open(facts, port))


def _is_open(facts: Facts, port: int | None) -> bool:
    return port is not None and bool((facts.answers.listening or {}).get(port))


def _is_refused_by_registry(facts: Facts) -> bool:
    refused = any(each.reason for each in facts.answers.registrations())
    return refused or facts.may_register is False


LOOP_BLOCKED: Final = Saying(
    "The liveness probe has restarted container {container} because the event loop of the app was "
    "blocked.",
    "Move the long computation into a thread, or raise LIFECYCLE_LOOP_STALL_LIMIT",
)
NO_STARTUP_PROBE: Final = Saying(
    "The liveness probe restarts container {container} {after} after its start, and the container "
    "has no startup probe. Either the app needs longer to start, or the app does not answer.",
    "In the manifest, add a startupProbe with the time that the app needs",
)
KILLED: Final = Saying(
    "The liveness probe has restarted container {container}. Either the app was busy for too long, or "
    "the app was stuck.",
    "kubectl -n {ns} logs {pod} -c {container} --previous",
)


@RULES.add("liveness-restart", LOOP_BLOCKED, NO_STARTUP_PROBE, KILLED)
def liveness_restart(facts: Facts) -> Iterator[Found]:
    """
    The liveness probe has restarted a container.

    A busy event loop answers its liveness probe late, so the kubelet restarts an app that is only busy.
    With pod-lifecycle, the probe is answered from another thread, and `/live` is false only after
    `loop_stall_limit`.
    """
    for each in facts.containers:
        killed = killed_by(facts, each)
        if killed is None or killed[0] != "liveness" or not troubled(facts, each) or facts.leaving:
            continue
        lines = facts.logs.get(each.name, ())
        blocked = [line for line in lines if LOOP in line][-1:]
        lasted = ran(each)
        early = not each.probe("startupProbe") and 0 < lasted < 2 * patience(each)
        otherwise = NO_STARTUP_PROBE if early else KILLED
        found = (LOOP_BLOCKED if blocked else otherwise).found(
            killed[1].quoted(facts.now),
            *(f"log of the previous run: {line}" for line in blocked),
            *_last_failure(facts, each),
            container=each.name,
            after=seconds(lasted),
            ns=facts.namespace,
            pod=facts.name,
        )
        yield if_past(facts, each, found)


def _last_failure(facts: Facts, container: Container) -> Iterator[str]:
    for each in failures(facts):
        if each.container.name == container.name and each.kind == "livenessProbe":
            yield each.evidence(facts)


INIT_RUNS: Final = Saying(
    "The init container {container} has been running for {age}, and the app starts only after it has "
    "ended.",
    "kubectl -n {ns} logs {pod} -c {container}",
)


@RULES.add("init-container", INIT_RUNS)
def init_container(facts: Facts) -> Iterator[Found]:
    """
    An init container does not end.

    Init containers run one after another, and each has to exit with 0 before the next one starts. A
    container that runs next to the app needs `restartPolicy: Always`.
    """
    if facts.leaving or facts.over:
        return
    for each in facts.init_containers:
        if each.running:
            started = each.started_at
            yield INIT_RUNS.found(
                f"status: init container {each.name} is running",
                container=each.name,
                age=seconds(facts.now - started) if started else "a while",
                ns=facts.namespace,
                pod=facts.name,
            )
