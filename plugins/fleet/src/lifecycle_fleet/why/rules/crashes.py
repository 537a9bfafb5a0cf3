"""Rules on containers that end: memory, exit codes, and restarts by probes."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Iterator
from typing import Final

from lifecycle_fleet.view.pod import moment
from lifecycle_fleet.why.answers import status_of
from lifecycle_fleet.why.facts import Container, Facts
from lifecycle_fleet.why.finding import Found, Saying, Table
from lifecycle_fleet.why.reading import number, objects, seconds, text, whole
from lifecycle_fleet.why.rules.probe_failures import (
    Failure,
    budget,
    ended_at,
    failures,
    killed_by,
    patience,
    troubled,
)

RULES: Final[Table[Facts]] = Table()

NOT_STARTED: Final = ("StartError", "ContainerCannotRun")
LINES: Final = 5
"""Lines of a log that are shown."""
QUIET: Final = ("debug", "info")
"""The levels of lines that seldom have the reason of an end."""
STEADY: Final = 60.0
"""Seconds for which a container has to run again, at least, before its last end is forgotten."""
LOOP: Final = "loop was last seen"
"""A part of the log of a container whose event loop was blocked."""

OOM: Final = Saying(
    "Container {container} used more memory than its limit of {limit}, so the kernel ended it.",
    "In the manifest, set resources.limits.memory higher",
)


@RULES.add("out-of-memory", OOM)
def out_of_memory(facts: Facts) -> Iterator[Found]:
    """
    A container has used more memory than its limit.

    The kernel ends the container with SIGKILL, so it cannot drain. The exit code is 137, and the
    reason is `OOMKilled`.
    """
    for each in _ended(facts):
        if text(each.ended, "reason") == "OOMKilled":
            yield OOM.found(
                _how(each),
                container=each.name,
                limit=text(each.spec, "resources", "limits", "memory") or "its node",
            )


TOO_SHORT: Final = Saying(
    "The startup probe of container {container} allows {budget}, but a start of the app has taken "
    "{start}. So the kubelet restarts the container before the app is ready.",
    "In the manifest, set startupProbe.failureThreshold: {threshold}",
)
STEP: Final = Saying(
    "The kubelet restarts container {container} because the app was not ready within {budget}, which "
    "is all that its startup probe allows. This step of the start is running: {steps}.",
    "If the app needs more time, set startupProbe.failureThreshold: {threshold} in the manifest",
)
NOT_PASSED: Final = Saying(
    "The kubelet restarts container {container} because its startup probe did not pass within "
    "{budget}. Either the app needs longer to start, or something keeps it from becoming ready.",
    "If the app needs more time, set startupProbe.failureThreshold: {threshold} in the manifest",
)


@RULES.add("startup-budget", TOO_SHORT, STEP, NOT_PASSED)
def startup_budget(facts: Facts) -> Iterator[Found]:
    """
    The startup probe allows too little time.

    The kubelet restarts a container whose startup probe has not passed after `initialDelaySeconds` +
    `failureThreshold` × `periodSeconds`. With `failureThreshold: 30` and `periodSeconds: 1`, for
    example, the app has 30 s. `lifecycle manifests --start-time SECONDS` writes a probe that is long
    enough.
    """
    for each in facts.containers:
        killed = killed_by(facts, each)
        if killed is None or killed[0] != "startup" or not troubled(facts, each) or facts.leaving:
            continue
        if not _is_only_late(facts, each) or _is_refused_by_registry(facts):
            continue
        allowed, needed = budget(each), _needed(facts, each)
        probe = each.probe("startupProbe")
        period = number(probe, "periodSeconds") or 10.0
        threshold = whole(probe, "failureThreshold", default=3)
        wanted = max(4 * threshold, round(2 * (needed or 0.0) / period))
        evidence = (
            killed[1].quoted(facts.now),
            f"{each.path}.startupProbe: failureThreshold {threshold} by periodSeconds {period:g}",
        )
        steps = ", ".join(
            f"{text(step, 'name')} ({seconds(number(step, 'seconds') or 0.0)})"
            for step in objects(facts.answers.status, "start", "steps")
            if step.get("running") is True
        )
        unknown = STEP if steps else NOT_PASSED
        yield (unknown if needed is None else TOO_SHORT).found(
            *evidence,
            container=each.name,
            budget=seconds(allowed),
            start=seconds(needed or 0.0),
            steps=steps,
            threshold=wanted,
        )


def _needed(facts: Facts, container: Container) -> float | None:
    """Return the seconds that the start takes, if it takes longer than the probe allows."""
    told = facts.told.start if facts.told is not None else None
    found = [each for each in (told, facts.start) if each is not None]
    longest = max(found, default=0.0)
    return longest if longest > budget(container) else None


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

    A busy event loop answers its liveness probe late, so the kubelet restarts an app that only works.
    With pod-lifecycle, the probe is answered from another thread, and `/live` is false only after
    `loop_stall_limit`.
    """
    for each in facts.containers:
        killed = killed_by(facts, each)
        if killed is None or killed[0] != "liveness" or not troubled(facts, each) or facts.leaving:
            continue
        lines = facts.logs.get(each.name, ())
        blocked = [line for line in lines if LOOP in line][-1:]
        ran = _ran(each)
        early = not each.probe("startupProbe") and 0 < ran < 2 * patience(each)
        otherwise = NO_STARTUP_PROBE if early else KILLED
        yield (LOOP_BLOCKED if blocked else otherwise).found(
            killed[1].quoted(facts.now),
            *(f"log of the previous run: {line}" for line in blocked),
            *_last_failure(facts, each),
            container=each.name,
            after=seconds(ran),
            ns=facts.namespace,
            pod=facts.name,
        )


def _last_failure(facts: Facts, container: Container) -> Iterator[str]:
    for each in failures(facts):
        if each.container.name == container.name and each.kind == "livenessProbe":
            yield each.evidence(facts)


def _ran(container: Container) -> float:
    started, finished = moment(text(container.ended, "startedAt")), ended_at(container)
    return finished - started if started and finished else 0.0


BAD_SETTING: Final = Saying(
    "Container {container} exits with {code} because the app could not start, for example because "
    "of a wrong setting.",
    "kubectl -n {ns} logs {pod} -c {container} {previous}",
)
CUT_OFF: Final = Saying(
    "Container {container} exited with 124, so the drain cut off work at its deadline.",
    "kubectl -n {ns} logs {pod} -c {container} {previous}",
)
NO_WORK: Final = Saying(
    "Container {container} exits with 0, so its command ends by itself and the kubelet starts it "
    "again.",
    "Let the command serve until SIGTERM arrives, or use a Job",
)
NO_PROGRAM: Final = Saying(
    "Container {container} exits with {code}, which shells use for a program that is missing or not "
    "executable.",
    "kubectl -n {ns} logs {pod} -c {container} {previous}",
)
KILL: Final = Saying(
    "Container {container} was ended by SIGKILL. Either it did not exit within its grace period, or "
    "something killed a process in it.",
    "kubectl -n {ns} logs {pod} -c {container} {previous}",
)
SIGNAL: Final = Saying(
    "Container {container} was ended by the signal {signal}.",
    "kubectl -n {ns} logs {pod} -c {container} {previous}",
)
EXIT: Final = Saying(
    "Container {container} exited with {code}.",
    "kubectl -n {ns} logs {pod} -c {container} {previous}",
)


@RULES.add("crash", BAD_SETTING, CUT_OFF, NO_WORK, NO_PROGRAM, KILL, SIGNAL, EXIT)
def crash(facts: Facts) -> Iterator[Found]:
    """
    A container ends again and again.

    The kubelet starts the container again, with pauses of up to 5 minutes (`CrashLoopBackOff`). The
    last lines of the log of the previous run usually have the reason. `lifecycle run` exits with 2 if
    the app could not start.
    """
    for each in _ended(facts):
        if text(each.ended, "reason") in ("OOMKilled", *NOT_STARTED) or killed_by(facts, each):
            continue
        if each.waiting in ("CreateContainerError", "RunContainerError"):
            continue
        if _has_recovered(facts, each):
            continue
        code = whole(each.ended, "exitCode")
        if code == 0 and (not _is_restarted(facts) or each.name in _init(facts)):
            continue
        lines = _telling(facts.logs.get(each.name, ()))
        yield _of_exit(facts, each, code).found(
            _how(each),
            *(f"log: {line}" for line in lines),
            container=each.name,
            code=code,
            signal=_signal(code),
            ns=facts.namespace,
            pod=facts.name,
            previous="--previous" if each.restarts else "",
        )


def _has_recovered(facts: Facts, container: Container) -> bool:
    """Return whether a container runs again, for clearly longer than before it ended."""
    now = facts.now - container.started_at
    return container.running and now > max(STEADY, 2 * _ran(container))


def _telling(lines: Iterable[str]) -> list[str]:
    """Return the last lines of a log. Lines of JSON below a warning are shown only alone."""
    shown = [line for line in lines if line.strip()]
    loud = [line for line in shown if text(status_of(line), "level") not in QUIET]
    return (loud or shown)[-LINES:]


def _of_exit(facts: Facts, container: Container, code: int) -> Saying:
    ours = facts.app is not None and facts.app.name == container.name
    if code == 78 or (code == 2 and ours):
        return BAD_SETTING
    if code == 124 and ours:
        return CUT_OFF
    if code in (126, 127):
        return NO_PROGRAM
    if code == 137:
        return KILL
    if code == 0:
        return NO_WORK
    return SIGNAL if _signal(code) else EXIT


def _signal(code: int) -> str:
    try:
        return signal.Signals(code - 128).name
    except ValueError:
        return ""


def _is_restarted(facts: Facts) -> bool:
    return not facts.over and text(facts.spec, "restartPolicy") in ("", "Always")


def _init(facts: Facts) -> list[str]:
    return [each.name for each in facts.init_containers]


def _ended(facts: Facts) -> Iterator[Container]:
    if facts.leaving:
        return
    for each in (*facts.init_containers, *facts.containers):
        if troubled(facts, each):
            yield each


def _how(container: Container) -> str:
    ended = container.ended
    code, reason = whole(ended, "exitCode"), text(ended, "reason")
    restarts = f", restarted {container.restarts} times" if container.restarts else ""
    said = text(ended, "message")
    return f"status: container {container.name}: {reason}, exit code {code}{restarts}" + (
        f": {said}" if said else ""
    )


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
