"""Rules on the exit codes of containers."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Iterator
from typing import Final

from lifecycle_fleet.why.answers import status_of
from lifecycle_fleet.why.facts import Container, Facts
from lifecycle_fleet.why.finding import Found, Saying, Table
from lifecycle_fleet.why.reading import mapping, text, texts, whole
from lifecycle_fleet.why.rules.probe_failures import (
    AT_DEADLINE,
    SIGNALLED,
    STEADY,
    end_of,
    ended,
    hook_failed,
    if_past,
    is_of_present_run,
    killed_by,
    ran,
    ran_out,
)

RULES: Final[Table[Facts]] = Table()

NOT_STARTED: Final = ("StartError", "ContainerCannotRun")
LINES: Final = 5
"""Lines of a log that are shown."""
QUIET: Final = ("debug", "info")
"""The levels of lines that seldom have the reason of an end."""

HOOK: Final = Saying(
    "The postStart hook of container {container} has failed, so the kubelet ends the container.",
    "kubectl -n {ns} describe pod {pod}",
)


@RULES.add("poststart", HOOK)
def poststart(facts: Facts) -> Iterator[Found]:
    """
    A postStart hook fails.

    The kubelet runs the hook right after the start of the container, and ends the container if the
    hook fails. The container is then started again, with pauses of up to 5 minutes.
    """
    for each in ended(facts):
        if (event := hook_failed(facts, each)) is not None:
            hook = mapping(each.spec, "lifecycle", "postStart")
            words = texts(hook, "exec", "command")
            found = HOOK.found(
                event.quoted(facts.now),
                f"{each.path}.lifecycle.postStart: {' '.join(words)}" if words else "",
                container=each.name,
                ns=facts.namespace,
                pod=facts.name,
            )
            yield if_past(facts, each, found)


BAD_SETTING: Final = Saying(
    "Container {container} exits with {code} because the app could not start, for example because "
    "of a wrong setting.",
    "kubectl -n {ns} logs {pod} -c {container} {previous}",
)
CONFIG: Final = Saying(
    "Container {container} exits with 78, which programs use for a wrong configuration.",
    "kubectl -n {ns} logs {pod} -c {container} {previous}",
)
TWO: Final = Saying(
    "Container {container} exits with 2. Either the app could not start, for example because of a "
    "wrong setting, or its command has ended with 2.",
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
LOST: Final = Saying(
    "The kubelet has lost container {container}, so it is not known how the container ended.",
    "kubectl describe node {node}",
)
EXIT: Final = Saying(
    "Container {container} exited with {code}.",
    "kubectl -n {ns} logs {pod} -c {container} {previous}",
)


@RULES.add(
    "crash", BAD_SETTING, TWO, CONFIG, CUT_OFF, NO_WORK, NO_PROGRAM, KILL, SIGNAL, LOST, EXIT
)
def crash(facts: Facts) -> Iterator[Found]:
    """
    A container ends again and again.

    The kubelet starts the container again, with pauses of up to 5 minutes (`CrashLoopBackOff`). The
    last lines of the log of the previous run usually have the reason. `lifecycle run` exits with 2 if
    the app could not start.
    """
    if facts.phase == "Failed" and text(facts.status, "reason"):
        return  # the kubelet has ended the pod
    for each in ended(facts):
        if text(each.ended, "reason") in ("OOMKilled", *NOT_STARTED) or _was_killed(facts, each):
            continue
        if hook_failed(facts, each) is not None:
            continue
        if each.waiting in ("CreateContainerError", "RunContainerError"):
            continue
        if ran_out(facts, each) or _has_recovered(facts, each):
            continue
        code = whole(each.ended, "exitCode")
        if code == 0 and (not _is_restarted(facts) or each.name in _init(facts)):
            continue
        lines = _telling(facts.logs.get(each.name, ()))
        found = _of_exit(facts, each, code).found(
            end_of(each),
            *(f"log: {line}" for line in lines),
            container=each.name,
            code=code,
            signal=_signal(code),
            ns=facts.namespace,
            pod=facts.name,
            node=text(facts.spec, "nodeName"),
            previous=("--previous",) if each.restarts else (),
        )
        yield if_past(facts, each, found)


def _was_killed(facts: Facts, container: Container) -> bool:
    """Return whether a probe has ended the last run of a container."""
    killed = killed_by(facts, container)
    if killed is None or not is_of_present_run(container, killed[1]):
        return killed is not None
    code = whole(container.ended, "exitCode")
    return killed[1].times > 1 or code in (0, AT_DEADLINE, *SIGNALLED)


def _has_recovered(facts: Facts, container: Container) -> bool:
    """Return whether a container runs again, for clearly longer than before it ended."""
    now = facts.now - container.started_at
    return container.running and now > max(STEADY, 2 * ran(container))


def _telling(lines: Iterable[str]) -> list[str]:
    """Return the last lines of a log. Lines of JSON below a warning are shown only alone."""
    shown = [line for line in lines if line.strip()]
    loud = [line for line in shown if text(status_of(line), "level") not in QUIET]
    return (loud or shown)[-LINES:]


def _of_exit(facts: Facts, container: Container, code: int) -> Saying:
    if text(container.ended, "reason") == "ContainerStatusUnknown":
        return LOST
    if facts.app is not None and facts.app.name == container.name:
        said = any(each.startswith("lifecycle: ") for each in facts.logs.get(container.name, ()))
        ours = {2: BAD_SETTING if said else TWO, AT_DEADLINE: CUT_OFF}
        if code in ours:
            return ours[code]
    known = {0: NO_WORK, 78: CONFIG, 126: NO_PROGRAM, 127: NO_PROGRAM, 137: KILL}
    return known.get(code, SIGNAL if _signal(code) else EXIT)


def _signal(code: int) -> str:
    try:
        return signal.Signals(code - 128).name
    except ValueError:
        return ""


def _is_restarted(facts: Facts) -> bool:
    return not facts.over and text(facts.spec, "restartPolicy") in ("", "Always")


def _init(facts: Facts) -> list[str]:
    return [each.name for each in facts.init_containers]
