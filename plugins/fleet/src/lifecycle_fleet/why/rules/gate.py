"""Rules on readiness gates: the condition that nothing sets, and the right to set it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from lifecycle_fleet.view.pod import REGISTERED
from lifecycle_fleet.why.answers import Registration
from lifecycle_fleet.why.facts import Container, Facts
from lifecycle_fleet.why.finding import Found, Saying, Table
from lifecycle_fleet.why.reading import objects, part, text

RULES: Final[Table[Facts]] = Table()

PLUGIN: Final = "kubernetes"
FORBIDDEN: Final = "forbidden"
ENABLED: Final = "LIFECYCLE_KUBERNETES_ENABLED"
PLUGINS: Final = "LIFECYCLE_PLUGINS"
NO: Final = ("false", "0", "no", "off")
TOKEN: Final = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105 - the path of a token
SETTLED: Final = 5.0
"""Seconds after which a gate that is not set yet is mentioned."""

NO_RIGHT: Final = Saying(
    "The ServiceAccount {account} may not register the pod, so the readiness gate is not set.",
    "Grant the ServiceAccount {account} the verbs get and watch on pods, and patch on pods/status",
)


@RULES.add("gate-rights", NO_RIGHT)
def rights(facts: Facts) -> Iterator[Found]:
    """
    The app may not set the readiness gate.

    lifecycle-kubernetes sets a condition in the status of its own pod. The ServiceAccount of the pod
    needs a Role for this, and `lifecycle manifests` writes this Role:

    ```yaml
    rules:
    - apiGroups: [""]
      resources: [pods]
      verbs: [get, watch]
    - apiGroups: [""]
      resources: [pods/status]
      verbs: [patch]
    ```

    If the pod has the Role but not the RoleBinding, or if the RoleBinding names another
    ServiceAccount, the API server refuses in the same way.
    """
    if not _is_unset(facts):
        return
    refused = next((each for each in _ours(facts) if each.reason.startswith(FORBIDDEN)), None)
    if refused is None and facts.may_register is not False:
        return
    yield NO_RIGHT.found(
        f"lifecycle status: {refused.service} in {PLUGIN}: {refused.reason}" if refused else "",
        "access review: patch pods/status is not allowed" if facts.may_register is False else "",
        f"spec.serviceAccountName: {_account(facts)}",
        account=_account(facts),
    )


DISABLED: Final = Saying(
    "The pod has the readiness gate {gate}, but lifecycle-kubernetes is turned off in the app, so "
    "nothing sets the gate.",
    "Remove {setting}, or remove the readiness gate from the manifest",
)
NO_PLUGIN: Final = Saying(
    "The pod has the readiness gate {gate}, but lifecycle-kubernetes is not installed in the image, "
    "so nothing sets the gate.",
    "Add lifecycle-kubernetes to the image, or write the manifest with --no-readiness-gate",
)
NO_PLUGIN_OR_OFF: Final = Saying(
    "The pod has the readiness gate {gate}, but the app runs without lifecycle-kubernetes, so "
    "nothing sets the gate. Either the plugin is not in the image, or it is turned off.",
    "kubectl -n {ns} exec {pod} -c {container} -- lifecycle plugins",
)
FAILED: Final = Saying(
    "The pod has the readiness gate {gate}, but the plugin lifecycle-kubernetes has failed, so "
    "nothing sets the gate.",
    "kubectl -n {ns} logs {pod} -c {container}",
)
NO_TOKEN: Final = Saying(
    "The pod has the readiness gate {gate}, but no token of a ServiceAccount is mounted, so the app "
    "cannot set the gate.",
    "In the manifest, set automountServiceAccountToken: true",
)
NO_SERVICE: Final = Saying(
    "The pod has the readiness gate {gate}, but the app exports no service, so there is nothing to "
    "register and the gate is not set.",
    "Set LIFECYCLE_SERVICES=NAME:PORT in the manifest, or remove the readiness gate from it",
)
NOBODY: Final = Saying(
    "All containers are ready, but the readiness gate {gate} is not set. Either lifecycle-kubernetes "
    "is not in the image, or it is turned off, or the app does not run under pod-lifecycle.",
    "kubectl -n {ns} exec {pod} -c {container} -- lifecycle plugins",
)


@RULES.add(
    "gate-unset", DISABLED, NO_PLUGIN, NO_PLUGIN_OR_OFF, FAILED, NO_TOKEN, NO_SERVICE, NOBODY
)
def unset(facts: Facts) -> Iterator[Found]:
    """
    Nothing sets the readiness gate of pod-lifecycle.

    A pod with a readiness gate is Ready only if all its containers are ready and the condition of
    the gate is True. The condition `pod-lifecycle.dev/registered` is set by the plugin
    lifecycle-kubernetes, from inside the app. Without the plugin the pod never becomes Ready,
    although its containers are.
    """
    if not _is_unset(facts) or facts.app is None or not facts.app.running:
        return
    if any(each.reason.startswith(FORBIDDEN) for each in _ours(facts)):
        return
    gate = f"spec.readinessGates: {REGISTERED}"
    for saying, evidence, setting in _causes(facts, facts.app):
        yield saying.found(
            gate,
            evidence,
            gate=REGISTERED,
            setting=setting,
            ns=facts.namespace,
            pod=facts.name,
            container=facts.app.name,
        )
        return


def _causes(facts: Facts, app: Container) -> Iterator[tuple[Saying, str, str]]:
    answers = facts.answers
    plugins = {text(each, "name"): each for each in objects(answers.status, "plugins")}
    turned_off = _turned_off(app)
    if plugins and PLUGIN not in plugins:
        installed = answers.installed
        if turned_off:
            yield DISABLED, f"{app.path}.env: {turned_off}", turned_off
        elif installed is None:
            yield NO_PLUGIN_OR_OFF, "lifecycle status: plugins", ""
        elif PLUGIN not in installed:
            yield NO_PLUGIN, "lifecycle plugins: kubernetes is not in the list", ""
        else:
            yield DISABLED, f"lifecycle plugins: {PLUGIN}: {installed[PLUGIN]}", f"{ENABLED}=false"
    elif plugins and part(plugins[PLUGIN], "ok") is False:
        yield FAILED, f"lifecycle status: {text(plugins[PLUGIN], 'problem')}", ""
    elif plugins:
        yield from _without_registration(facts, app)
    elif turned_off:
        yield DISABLED, f"{app.path}.env: {turned_off}", turned_off
    elif not _has_token(facts, app):
        yield NO_TOKEN, _automount(facts), ""
    elif facts.may_register is not False and _is_waiting(facts):
        yield NOBODY, f"status.conditions: {REGISTERED} is missing or not True", ""


def _without_registration(facts: Facts, app: Container) -> Iterator[tuple[Saying, str, str]]:
    if not facts.answers.services():
        if facts.answers.state == "ready":
            yield NO_SERVICE, "lifecycle status: services: none", ""
    elif not [*_ours(facts)] and not _has_token(facts, app):
        yield NO_TOKEN, _automount(facts), ""


def _is_waiting(facts: Facts) -> bool:
    """Return whether only the gate is missing, and has been for a while."""
    told = facts.told
    offline = told is not None and told.offline and not told.online
    return (
        facts.condition("ContainersReady") == "True"
        and not offline
        and facts.age > SETTLED
        and not (told is not None and told.state in ("starting", "exporting", "draining"))
    )


def _is_unset(facts: Facts) -> bool:
    usable = not facts.leaving and not facts.over
    return usable and REGISTERED in facts.gates and facts.condition(REGISTERED) != "True"


def _ours(facts: Facts) -> Iterator[Registration]:
    return (each for each in facts.answers.registrations() if each.registry == PLUGIN)


def _turned_off(app: Container) -> str:
    """Return the setting that turns the plugin off, or an empty text."""
    given = app.environment
    if given.get(ENABLED, "").lower() in NO:
        return f"{ENABLED}={given[ENABLED]}"
    if f"no:{PLUGIN}" in re.split(r"[\s,]+", given.get(PLUGINS, "")):
        return f"no:{PLUGIN} in {PLUGINS}"
    if f"no:{PLUGIN}" in app.words:
        return f"-p no:{PLUGIN}"
    return ""


def _has_token(facts: Facts, app: Container) -> bool:
    mounts = objects(app.spec, "volumeMounts")
    return any(text(each, "mountPath") == TOKEN for each in mounts) or not facts.spec.get(
        "nodeName"
    )


def _automount(facts: Facts) -> str:
    found = facts.spec.get("automountServiceAccountToken")
    if found is not None:
        return f"spec.automountServiceAccountToken: {str(found).lower()}"
    return f"no container mounts {TOKEN}"


def _account(facts: Facts) -> str:
    return text(facts.spec, "serviceAccountName") or "default"


FOREIGN: Final = Saying(
    "The readiness gate {gate} is not True. The program that owns this condition has to set it.",
    "Find the program that sets {gate}, and read its log",
)


@RULES.add("gate-foreign", FOREIGN)
def foreign(facts: Facts) -> Iterator[Found]:
    """
    A readiness gate of another program is not set.

    Load balancer controllers, for example, set a condition once their targets are healthy. The
    condition in the status of the pod may have a message.
    """
    if facts.leaving or facts.over or facts.condition("ContainersReady") != "True":
        return
    for gate in facts.gates:
        if gate == REGISTERED or facts.condition(gate) == "True":
            continue
        found = facts.the_condition(gate)
        said = " ".join((text(found, "reason"), text(found, "message"))).strip()
        state = text(found, "status") or "missing"
        yield FOREIGN.found(
            f"status.conditions: {gate}: {state}{f': {said}' if said else ''}", gate=gate
        )
