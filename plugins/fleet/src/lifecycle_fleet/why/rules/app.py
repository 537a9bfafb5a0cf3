"""Rules on what the app itself answers: registrations, offline services, probes, the start."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lifecycle_fleet.why.answers import Registration
from lifecycle_fleet.why.facts import Container, Facts
from lifecycle_fleet.why.finding import Found, Saying, Table
from lifecycle_fleet.why.reading import labels, mapping, number, objects, part, seconds, text
from lifecycle_fleet.why.rules.gate import FORBIDDEN, PLUGIN
from lifecycle_fleet.why.rules.probe_failures import Failure, budget, failures, troubled

RULES: Final[Table[Facts]] = Table()

BUILT_IN: Final = ("state", "services", "loop", "startup", "start", "drain")
"""The names of built-in probes, which have rules of their own."""
STARTING: Final = ("starting", "exporting", "registered")

NOT_REGISTERED: Final = Saying(
    "The service {service} is not registered in the service registry {registry}. {reason}",
    "kubectl -n {ns} exec {pod} -c {container} -- lifecycle ls",
)


@RULES.add("registration", NOT_REGISTERED)
def registration(facts: Facts) -> Iterator[Found]:
    """
    A service is not registered.

    The app becomes READY only when each required service registry has acknowledged its services.
    pod-lifecycle tries again forever, with increasing pauses. For the registry `kubernetes`, see
    [API server failed](errors.md#api-server-failed).
    """
    if facts.leaving or facts.app is None:
        return
    for each in _unregistered(facts):
        if not each.reason or (each.registry == PLUGIN and each.reason.startswith(FORBIDDEN)):
            continue
        yield NOT_REGISTERED.found(
            f"lifecycle status: {each.service} in {each.registry}: registered {each.registered}",
            service=each.service,
            registry=each.registry,
            reason=f"Its answer: {each.reason}",
            ns=facts.namespace,
            pod=facts.name,
            container=facts.app.name,
        )


def _unregistered(facts: Facts) -> Iterator[Registration]:
    online = {
        text(each, "name"): part(each, "online") is not False
        for each in objects(facts.answers.status, "services")
    }
    for each in facts.answers.registrations():
        found = mapping(_service(facts, each.service), "registrations", each.registry)
        if each.registered != "yes" and online.get(each.service) and found.get("required", True):
            yield each


def _service(facts: Facts, name: str) -> object:
    services = objects(facts.answers.status, "services")
    return next((each for each in services if text(each, "name") == name), None)


BY_PERSON: Final = Saying(
    "An administrator has taken every service of the app offline, so the pod is not ready.",
    "kubectl -n {ns} exec {pod} -c {container} -- lifecycle online",
)
BY_APP: Final = Saying(
    "The app itself has taken every service offline, so the pod is not ready.",
    "Find the call of set_offline in the app, and find out why the app made it",
)
BY_BOTH: Final = Saying(
    "An administrator and the app itself have taken every service offline, so the pod is not ready.",
    "Run lifecycle online in container {container} of the pod, and let the app call set_online",
)
OFFLINE: Final = Saying(
    "Every service of the app is offline, so the pod is not ready.",
    "kubectl -n {ns} exec {pod} -c {container} -- lifecycle status",
)


@RULES.add("offline", BY_PERSON, BY_APP, BY_BOTH, OFFLINE)
def offline(facts: Facts) -> Iterator[Found]:
    """
    Every service is offline.

    A service is offline while an administrator, or the app, has a reason for it. Each of them brings
    only its own reason back. A pod whose services are all offline keeps running, but is not Ready.
    """
    if facts.leaving or facts.over or facts.app is None:
        return
    services = objects(facts.answers.status, "services")
    reasons: dict[str, set[str]] = {}
    if services:
        if any(part(each, "online") is not False for each in services):
            return
        for each in services:
            for source, reason in labels(each, "held_by").items():
                reasons.setdefault(source, set()).add(reason or "no reason given")
    elif facts.answers.status or facts.told is None or facts.told.online or not facts.told.offline:
        return
    sayings = {frozenset({"operator"}): BY_PERSON, frozenset({"app"}): BY_APP}
    saying = sayings.get(frozenset(reasons), BY_BOTH if len(reasons) > 1 else OFFLINE)
    told = [f"lifecycle status: {k}: {', '.join(sorted(v))}" for k, v in sorted(reasons.items())]
    yield saying.found(
        *(told or ["metadata.annotations[pod-lifecycle.dev/status]: offline"]),
        ns=facts.namespace,
        pod=facts.name,
        container=facts.app.name,
    )


BLOCKED: Final = Saying(
    "The event loop of the app is blocked, so the app does not serve requests.",
    "kubectl -n {ns} exec {pod} -c {container} -- lifecycle inflight --stacks",
)


@RULES.add("loop-blocked", BLOCKED)
def blocked(facts: Facts) -> Iterator[Found]:
    """
    The event loop of the app is blocked.

    A call that does not return, for example `time.sleep` or a long computation, blocks the event
    loop. pod-lifecycle answers the probes from another thread. After `loop_stall_limit` (30 s by
    default) `/live` is false, and the kubelet restarts the container.
    """
    found = [each for each in facts.answers.probes() if each.name == "loop" and not each.ok]
    if found and facts.app is not None and not facts.leaving:
        yield BLOCKED.found(
            f"lifecycle status: probe loop: {found[0].reason}",
            ns=facts.namespace,
            pod=facts.name,
            container=facts.app.name,
        )


FAILS: Final = Saying(
    "The {kind} probe {name} of the app fails with the reason: {reason}",
    "kubectl -n {ns} exec {pod} -c {container} -- lifecycle probe {command}",
)
UNKNOWN: Final = Saying(
    "The {kind} of container {container} fails because pod-lifecycle itself answers that the app is "
    "not {wanted}. The reason could not be read.",
    "kubectl -n {ns} exec {pod} -c {container} -- lifecycle probe {command}",
)
COMMANDS: Final = {"readiness": "ready", "startup": "startup", "liveness": "live"}
WANTED: Final = {"startupProbe": "startup", "readinessProbe": "ready", "livenessProbe": "live"}


@RULES.add("probe-fails", FAILS, UNKNOWN)
def fails(facts: Facts) -> Iterator[Found]:
    """
    A check of the app fails.

    Checks come from plugins, and from the app itself (`@life.readiness`). The pod is ready only if
    all of them pass. `lifecycle probe ready` lists every check with its reason.
    """
    app = facts.app
    if app is None or facts.leaving or facts.over:
        return
    fields = {"ns": facts.namespace, "pod": facts.name, "container": app.name}
    for each in facts.answers.probes():
        if not each.ok and each.name not in BUILT_IN and each.kind in COMMANDS:
            yield FAILS.found(
                f"lifecycle status: probe {each.name}",
                **fields,
                kind=each.kind,
                name=each.name,
                reason=each.reason or "none given",
                command=COMMANDS[each.kind],
            )
    for failure in _unexplained(facts):
        yield UNKNOWN.found(
            failure.evidence(facts),
            facts.answers.problem,
            **fields,
            kind=failure.kind,
            wanted=WANTED[failure.kind].replace("startup", "started"),
            command=WANTED[failure.kind],
        )


def _unexplained(facts: Facts) -> Iterator[Failure]:
    told = facts.told
    known = facts.answers.status or facts.may_register is False
    known = known or (told is not None and (told.state in STARTING or bool(told.offline)))
    for failure in () if known else failures(facts):
        answered = failure.kind != "livenessProbe" and failure.is_answer_of_ours(facts)
        if answered and not troubled(facts, failure.container):
            yield failure


STEP: Final = Saying(
    "The app is still starting, for {age} so far. This step of the start is running: {steps}.",
    "Wait. The startup probe allows {budget}",
)
WAITING: Final = Saying(
    "The app is still starting, for {age} so far. It waits for an answer of the service registry "
    "{registry} about the service {service}.",
    "kubectl -n {ns} exec {pod} -c {container} -- lifecycle ls",
)
STATE: Final = Saying(
    "The app is still starting, for {age} so far. Its state is {state}.",
    "Wait. The startup probe allows {budget}",
)
NOT_PASSED: Final = Saying(
    "Container {container} has been running for {age}, and its {kind} has not passed yet.",
    "kubectl -n {ns} logs {pod} -c {container} --tail=50",
)
UNSEEN: Final = Saying(
    "The kubelet of the node {node} has not started the pod, which was created {age} ago.",
    "Wait. If this does not change, run kubectl describe node {node}",
)
CREATING: Final = Saying(
    "The kubelet is still creating container {container}.",
    "kubectl -n {ns} describe pod {pod}",
)


@RULES.add("starting", STEP, WAITING, STATE, NOT_PASSED, UNSEEN, CREATING, alone=True)
def starting(facts: Facts) -> Iterator[Found]:
    """
    The pod is still starting.

    Nothing is wrong yet. If the start takes too long, look at the step that is running.
    `lifecycle status` lists all steps with their seconds.
    """
    if facts.leaving or facts.over:
        return
    node, first = text(facts.spec, "nodeName"), facts.initializing
    if node and not any(each.status for each in (*facts.init_containers, *facts.containers)):
        yield UNSEEN.found("status.containerStatuses is missing", node=node, age=seconds(facts.age))
    for each in facts.containers if first is None else (first,):
        if each.waiting in ("ContainerCreating", "PodInitializing"):
            yield CREATING.found(
                f"{each.path}: {each.waiting}",
                facts.events[-1].quoted(facts.now) if facts.events else "",
                container=each.name,
                ns=facts.namespace,
                pod=facts.name,
            )
        elif each.running:
            yield from _of_running(facts, each)


def _of_running(facts: Facts, container: Container) -> Iterator[Found]:
    state = facts.answers.state or (facts.told.state if facts.told is not None else "")
    age = seconds(facts.now - container.started_at) if container.started_at else "a while"
    if facts.app is not None and facts.app.name == container.name and state:
        if state not in STARTING:
            return
        allows = budget(container) if container.probe("startupProbe") else 0
        given = {
            "age": age,
            "budget": seconds(allows) if allows else "any time",
            "ns": facts.namespace,
            "pod": facts.name,
            "container": container.name,
        }
        steps = _running_steps(facts)
        waits = next(_unregistered(facts), None)
        if waits is not None:
            yield WAITING.found(
                f"lifecycle status: {waits.service} in {waits.registry}: registered "
                f"{waits.registered}",
                **given,
                service=waits.service,
                registry=waits.registry,
            )
        elif steps:
            yield STEP.found("lifecycle status: start.steps", **given, steps=steps)
        else:
            yield STATE.found(f"state: {state}", **given, state=state)
    elif not (container.ready and container.started):
        yield from _foreign(facts, container, age)


def _running_steps(facts: Facts) -> str:
    steps = objects(facts.answers.status, "start", "steps")
    return ", ".join(
        f"{text(each, 'name')} ({seconds(number(each, 'seconds') or 0.0)})"
        for each in steps
        if part(each, "running") is True
    )


def _foreign(facts: Facts, container: Container, age: str) -> Iterator[Found]:
    for kind in ("startupProbe", "readinessProbe"):
        probe = container.probe(kind)
        passed = container.started if kind == "startupProbe" else container.ready
        if probe and not passed:
            yield NOT_PASSED.found(
                f"{container.path}.{kind}",
                container=container.name,
                kind=kind,
                age=age,
                ns=facts.namespace,
                pod=facts.name,
            )
            return
