"""Rules on pods that are being deleted, and on what they need for this."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Final

from lifecycle_fleet.view.pod import moment
from lifecycle_fleet.why.facts import Container, Facts
from lifecycle_fleet.why.finding import Found, Saying, Table
from lifecycle_fleet.why.reading import mapping, number, objects, seconds, text, texts

RULES: Final[Table[Facts]] = Table()

LATE: Final = 10.0
"""Seconds after the grace period for which a pod may still be there."""
HOOK: Final = 5.0
"""Seconds after which an app must have heard of its end."""
SHOWN: Final = 5
"""Pieces of work that are shown."""

NO_LIFECYCLE: Final = Saying(
    "The preStop hook of container {container} runs {program}, but the image does not have this "
    "program on its PATH. So the hook fails, and the drain starts only with SIGTERM.",
    "Install pod-lifecycle in the image, or write the full path of the program into the hook",
)
HOOK_FAILS: Final = Saying(
    "The preStop hook of container {container} has failed.",
    "kubectl -n {ns} exec {pod} -c {container} -- {words}",
)
HOOK_HANGS: Final = Saying(
    "The pod was deleted {ago} ago, but the app in container {container} has not been told to stop. "
    "Either its preStop hook is still running, or the kubelet has not started to end the pod.",
    "Let the preStop hook run lifecycle prestop",
)


@RULES.add("prestop", NO_LIFECYCLE, HOOK_FAILS, HOOK_HANGS)
def prestop(facts: Facts) -> Iterator[Found]:
    """
    A preStop hook fails or hangs.

    The kubelet sends SIGTERM only when the hook has returned. The time of the hook is a part of the
    grace period. After a hook that fails, SIGTERM is sent at once.
    """
    for each in facts.containers:
        hook = mapping(each.spec, "lifecycle", "preStop")
        if not hook:
            continue
        words = texts(hook, "exec", "command")
        fields = {
            "container": each.name,
            "ns": facts.namespace,
            "pod": facts.name,
            "words": shlex.join(words) or "COMMAND",
            "program": words[0] if words else "",
        }
        path = f"{each.path}.lifecycle.preStop"
        shown = f"{path}.exec.command: {' '.join(words)}" if words else path
        failed = facts.events_of("FailedPreStopHook", container=each.name)[-1:]
        seen = [event.quoted(facts.now) for event in failed]
        ours = bool(words) and words[0].rpartition("/")[2] == "lifecycle"
        missing = any("not found" in event.message for event in failed)
        is_app = facts.app is not None and facts.app.name == each.name
        if ours and ((facts.answers.no_program and is_app and not facts.over) or missing):
            yield NO_LIFECYCLE.found(*seen, shown, **fields)
        elif failed and facts.leaving:
            yield HOOK_FAILS.found(*seen, shown, **fields)
        elif is_app and facts.answers.state == "ready" and _since(facts) > HOOK:
            yield HOOK_HANGS.found(
                shown, "lifecycle status: state ready", **fields, ago=seconds(_since(facts))
            )


def _since(facts: Facts) -> float:
    """Return the seconds since the pod was deleted, or 0."""
    if not facts.leaving:
        return 0.0
    grace = number(facts.pod, "metadata", "deletionGracePeriodSeconds")
    return facts.now - _deadline(facts) + (facts.grace if grace is None else grace)


def _deadline(facts: Facts) -> float:
    return moment(text(facts.pod, "metadata", "deletionTimestamp"))


def _running(facts: Facts) -> list[Container]:
    return [each for each in (*facts.init_containers, *facts.containers) if each.running]


IN_FLIGHT: Final = Saying(
    "The app is draining, with {number} in flight: {work}. {left} of the grace period remain.",
    "kubectl -n {ns} exec {pod} -c {container} -- lifecycle inflight",
    note=True,
)
DRAINING: Final = Saying(
    "The app is draining. {waits} {left} of the grace period remain.",
    "kubectl -n {ns} exec {pod} -c {container} -- lifecycle status",
    note=True,
)
TERMINATING: Final = Saying(
    "The pod is terminating, and its containers still run. {left} of the grace period remain.",
    "Wait. The kubelet sends SIGKILL at the end of the grace period",
    note=True,
)


HOOK_RUNS: Final = Saying(
    "The pod is terminating, and its containers still run. The preStop hook of container {hooked} may "
    "not have returned yet, and SIGTERM comes only after it. {left} of the grace period remain.",
    "Wait. The kubelet sends SIGKILL at the end of the grace period",
    note=True,
)
ENDING: Final = Saying(
    "The grace period of the pod ended {ago} ago, and the pod is not removed yet.",
    "Wait",
    note=True,
)
REMOVING: Final = Saying(
    "No container of the pod runs any more, and the pod is not removed yet.",
    "Wait",
    note=True,
)


@RULES.add("draining", IN_FLIGHT, DRAINING, TERMINATING, HOOK_RUNS, ENDING, REMOVING)
def draining(facts: Facts) -> Iterator[Found]:
    """
    The pod is still draining.

    Nothing is wrong. The app waits until its work in flight is done, but not longer than its grace
    period allows. See [the drain](drain.md).
    """
    left = _deadline(facts) - facts.now
    if not facts.leaving or left <= -LATE or not text(facts.spec, "nodeName"):
        return
    running, finalizers = _running(facts), texts(facts.pod, "metadata", "finalizers")
    if not running and finalizers:
        return
    app = facts.app
    fields = {
        "ns": facts.namespace,
        "pod": facts.name,
        "container": app.name if app else "",
        "left": seconds(left),
    }
    evidence = f"metadata.deletionTimestamp: {text(facts.pod, 'metadata', 'deletionTimestamp')}"
    if left <= 0 or not running:
        yield (ENDING if left <= 0 else REMOVING).found(evidence, ago=seconds(-left))
        return
    work = [
        f"{text(each, 'name')} for {seconds(number(each, 'age') or 0.0)}"
        for each in objects(facts.answers.inflight, "entries")
    ]
    told = facts.told is not None and facts.told.state == "draining"
    if work:
        number_of = number(facts.answers.inflight, "in_flight") or len(work)
        yield IN_FLIGHT.found(
            evidence,
            f"lifecycle inflight: {', '.join(work)}",
            **fields,
            number=f"{number_of:g} {'piece' if number_of == 1 else 'pieces'} of work",
            work=_some(work),
        )
    elif facts.answers.state == "draining" or (told and not facts.answers.state):
        waits = _some(texts(facts.answers.status, "drain", "waiting_for"))
        step = text(facts.answers.status, "drain", "step")
        yield DRAINING.found(
            evidence,
            f"lifecycle status: drain.step: {step}" if step else "",
            **fields,
            waits=f"The drain waits for {waits}." if waits else "",
        )
    else:
        hooked = [each for each in running if mapping(each.spec, "lifecycle", "preStop")]
        yield (HOOK_RUNS if hooked else TERMINATING).found(
            evidence,
            *(f"{each.path}.lifecycle.preStop" for each in hooked),
            **fields,
            hooked=" and ".join(each.name for each in hooked),
        )


def _some(given: list[str] | tuple[str, ...]) -> str:
    more = f" and {len(given) - SHOWN} more" if len(given) > SHOWN else ""
    return ", ".join(given[:SHOWN]) + more


FINALIZER: Final = Saying(
    "No container of the pod runs, but the finalizer {names} keeps the pod from being removed.",
    "Find the program that removes {names}, and read its log",
)
FINALIZERS: Final = Saying(
    "No container of the pod runs, but the finalizers {names} keep the pod from being removed.",
    "Find the programs that remove {names}, and read their logs",
)


@RULES.add("finalizer", FINALIZER, FINALIZERS)
def finalizer(facts: Facts) -> Iterator[Found]:
    """
    A finalizer keeps the pod from being removed.

    The API server removes a deleted object only when its list of finalizers is empty. The program
    that has added a finalizer has to remove it. If this program no longer exists, you can remove the
    finalizer yourself:

    ```text
    kubectl patch pod POD --type=merge -p '{"metadata": {"finalizers": null}}'
    ```

    > [!WARNING]
    > Without the finalizer, the program may not clean up, for example a load balancer.
    """
    names = texts(facts.pod, "metadata", "finalizers")
    if facts.leaving and names and not _running(facts):
        yield (FINALIZER if len(names) == 1 else FINALIZERS).found(
            f"metadata.finalizers: {', '.join(names)}", names=", ".join(names)
        )


OVERDUE: Final = Saying(
    "The grace period ended {ago} ago, but containers of the pod still run. Either the kubelet of the "
    "node {node} does not act, or the container runtime cannot end them.",
    "kubectl describe node {node}",
)
NOT_REMOVED: Final = Saying(
    "No container of the pod runs and the grace period ended {ago} ago, but the kubelet of the node "
    "{node} has not removed the pod.",
    "kubectl describe node {node}",
)
NO_KUBELET: Final = Saying(
    "The pod was deleted {ago} ago, but no kubelet has seen it, because it has no node.",
    "kubectl -n {ns} delete pod {pod} --force",
)


@RULES.add("not-removed", OVERDUE, NOT_REMOVED, NO_KUBELET, alone=True)
def not_removed(facts: Facts) -> Iterator[Found]:
    """
    The pod is still there after its grace period.

    The kubelet ends the containers, unmounts the volumes, and then removes the pod. An event such as
    `FailedKillPod` has the reason if one of these steps fails.
    """
    late = facts.now - _deadline(facts)
    if not facts.leaving or late < LATE or texts(facts.pod, "metadata", "finalizers"):
        return
    node = text(facts.spec, "nodeName")
    events = facts.events_of("FailedKillPod", "FailedUnMount", "FailedDetachVolume")[-1:]
    saying = OVERDUE if _running(facts) else NOT_REMOVED
    yield (saying if node else NO_KUBELET).found(
        f"metadata.deletionTimestamp: {text(facts.pod, 'metadata', 'deletionTimestamp')}",
        *(event.quoted(facts.now) for event in events),
        ago=seconds(late),
        node=node,
        ns=facts.namespace,
        pod=facts.name,
    )


GRACE: Final = Saying(
    "The app plans {planned} for its drain, but terminationGracePeriodSeconds is {allowed}. So the "
    "kubelet ends the app before its drain is over.",
    "In the manifest, set terminationGracePeriodSeconds: {planned_number}",
)


@RULES.add("grace-period", GRACE, aside=True)
def grace_period(facts: Facts) -> Iterator[Found]:
    """
    The grace period of the pod is shorter than that of the app.

    `terminationGracePeriodSeconds` is the time from the deletion to SIGKILL. The setting
    `LIFECYCLE_GRACE_PERIOD` of the app must not be longer.
    """
    told = facts.told
    if told is not None and told.grace is not None and told.grace > facts.grace:
        yield GRACE.found(
            f"metadata.annotations[pod-lifecycle.dev/status]: grace {told.grace:g}",
            f"spec.terminationGracePeriodSeconds: {facts.grace}",
            planned=seconds(told.grace),
            planned_number=f"{told.grace:.0f}",
            allowed=f"{facts.grace} s",
        )
