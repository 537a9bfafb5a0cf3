"""Rules on Deployments: what keeps a rollout from its end."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from lifecycle_fleet.view.pod import moment
from lifecycle_fleet.why.facts import Facts
from lifecycle_fleet.why.finding import Found, Saying, Table
from lifecycle_fleet.why.reading import labels, part, seconds, text, texts, whole
from lifecycle_fleet.why.workload import Workload

CAUSES: Final[Table[Workload]] = Table()
CONSEQUENCES: Final[Table[Workload]] = Table()

SLOW: Final = 10.0
"""Seconds after which the controller must have seen a change."""

PAUSED: Final = Saying(
    "The Deployment is paused, so its rollout does not continue.",
    "kubectl -n {ns} rollout resume deploy/{name}",
)
PAUSED_NOTE: Final = Saying(
    "The Deployment is paused, so a change of its template does not start a rollout.",
    "kubectl -n {ns} rollout resume deploy/{name}",
    note=True,
)


@CAUSES.add("paused", PAUSED, PAUSED_NOTE)
def paused(found: Workload) -> Iterator[Found]:
    """
    The Deployment is paused.

    `kubectl rollout pause` sets `spec.paused`. The controller then replaces no pods, although it
    still keeps the number of replicas.
    """
    if found.paused:
        yield (PAUSED_NOTE if found.complete else PAUSED).found(
            "spec.paused: true", ns=found.namespace, name=found.name
        )


DELETED: Final = Saying(
    "The Deployment is being deleted, so it replaces no pods. It is removed when its finalizers are: "
    "{names}.",
    "Find the programs that remove these finalizers. foregroundDeletion waits for the pods",
)


@CAUSES.add("deployment-deleted", DELETED)
def deleted(found: Workload) -> Iterator[Found]:
    """
    The Deployment is being deleted.

    The API server removes a deleted object only when its list of finalizers is empty. The finalizer
    `foregroundDeletion` is that of `kubectl delete --cascade=foreground`, which waits for all
    ReplicaSets and pods.
    """
    if text(found.deployment, "metadata", "deletionTimestamp"):
        names = texts(found.deployment, "metadata", "finalizers")
        yield DELETED.found(
            f"metadata.finalizers: {', '.join(names)}", names=", ".join(names) or "none"
        )


NOT_SEEN: Final = Saying(
    "The Deployment controller has not seen the last change of the Deployment.",
    "Check that kube-controller-manager is running",
)


@CAUSES.add("not-observed", NOT_SEEN)
def not_observed(found: Workload) -> Iterator[Found]:
    """
    The controller has not seen the last change.

    The controller usually needs less than a second. If `observedGeneration` stays lower than
    `generation`, kube-controller-manager does not run, or is overloaded.
    """
    if not found.observed:
        seen = whole(found.deployment, "status", "observedGeneration")
        wanted = whole(found.deployment, "metadata", "generation")
        yield NOT_SEEN.found(f"status.observedGeneration: {seen}", f"metadata.generation: {wanted}")


ZERO: Final = Saying(
    "The Deployment has 0 replicas, so it has no pod.",
    "kubectl -n {ns} scale deploy/{name} --replicas=2",
    note=True,
)


@CAUSES.add("no-replicas", ZERO)
def no_replicas(found: Workload) -> Iterator[Found]:
    """The Deployment is scaled to zero."""
    if found.wanted == 0:
        yield ZERO.found("spec.replicas: 0", ns=found.namespace, name=found.name)


QUOTA: Final = Saying(
    "The quota {quota} of the namespace allows no more pods of this size.",
    "kubectl -n {ns} describe quota",
)
QUOTA_UNSET: Final = Saying(
    "The quota {quota} of the namespace refuses the pods, because their template does not set {unset}.",
    "Set the missing values of resources in the manifest",
)
LIMITS: Final = Saying(
    "A LimitRange of the namespace refuses the pods.",
    "kubectl -n {ns} describe limitrange",
)
SECURITY: Final = Saying(
    "The namespace enforces the Pod Security Standard {level}, and the pods violate it.",
    "Correct the securityContext as the evidence shows. The command lifecycle manifests writes "
    "manifests that pass restricted",
)
NO_ACCOUNT: Final = Saying(
    "The ServiceAccount {account} of the pods does not exist.",
    "kubectl -n {ns} create serviceaccount {account}",
)
WEBHOOK: Final = Saying(
    "The admission webhook {webhook} refuses the pods.",
    "Read the evidence, and correct the template of the Deployment",
)
WEBHOOK_DOWN: Final = Saying(
    "The admission webhook {webhook} does not answer, so the API server refuses new pods.",
    "Check the pods of this webhook",
)
REFUSED: Final = Saying(
    "The API server refuses the pods of the Deployment.",
    "kubectl -n {ns} describe rs -l {labels}",
)
REFUSALS: Final = (
    (r"exceeded quota: (?P<quota>[\w.-]+)", QUOTA),
    (r"failed quota: (?P<quota>[\w.-]+): must specify (?P<unset>[\w./,-]+)", QUOTA_UNSET),
    (r"(maximum|minimum) [\w./-]+ (usage|limit to request ratio) per ", LIMITS),
    (r'violates PodSecurity "(?P<level>[^":]+)', SECURITY),
    (r'serviceaccount "(?P<account>[^"]+)" not found', NO_ACCOUNT),
    (r'admission webhook "(?P<webhook>[^"]+)" denied', WEBHOOK),
    (r'failed calling webhook "(?P<webhook>[^"]+)"', WEBHOOK_DOWN),
)


@CAUSES.add(
    "failed-create",
    *(QUOTA, QUOTA_UNSET, LIMITS, SECURITY, NO_ACCOUNT, WEBHOOK, WEBHOOK_DOWN, REFUSED),
)
def failed_create(found: Workload) -> Iterator[Found]:
    """
    The API server refuses the pods.

    A quota, the Pod Security Standards, a missing ServiceAccount or a webhook keep the ReplicaSet
    from creating pods. The ReplicaSet tries again, with pauses of up to 17 minutes. Only the event
    `FailedCreate` of the ReplicaSet and the condition `ReplicaFailure` have the reason.
    """
    condition = found.condition("ReplicaFailure")
    failing = text(condition, "status") == "True"
    short = whole(found.newest, "status", "replicas") < whole(found.newest, "spec", "replicas")
    newest = text(found.newest, "metadata", "uid")
    events = [each for each in found.events if each.reason == "FailedCreate" and each.uid == newest]
    if not failing and not (short and events):
        return
    message = text(condition, "message") if failing else events[-1].message
    saying, fields = _refusal(message)
    yield saying.found(
        f"status.conditions: ReplicaFailure: {message}" if failing else "",
        *(each.quoted(found.now) for each in events[-1:]),
        ns=found.namespace,
        labels=",".join(
            f"{name}={value}"
            for name, value in labels(found.deployment, "spec", "selector", "matchLabels").items()
        ),
        **fields,
    )


def _refusal(message: str) -> tuple[Saying, dict[str, str]]:
    for pattern, saying in REFUSALS:
        if found := re.search(pattern, message):
            return saying, found.groupdict()
    return REFUSED, {}


DEADLINE: Final = Saying(
    "The rollout has made no progress for {deadline}, so Kubernetes counts it as failed.",
    "kubectl -n {ns} rollout undo deploy/{name}",
)


@CONSEQUENCES.add("progress-deadline", DEADLINE)
def progress_deadline(found: Workload) -> Iterator[Found]:
    """
    The rollout has made no progress for too long.

    After `progressDeadlineSeconds` (600 by default) without a new ready pod, the condition
    `Progressing` becomes False. Kubernetes does nothing else. The old pods keep serving, and the
    rollout continues as soon as the cause is removed.
    """
    condition = found.condition("Progressing")
    if text(condition, "reason") == "ProgressDeadlineExceeded":
        deadline = whole(found.deployment, "spec", "progressDeadlineSeconds", default=600)
        yield DEADLINE.found(
            f"status.conditions: Progressing: {text(condition, 'message')}",
            f"spec.progressDeadlineSeconds: {deadline}",
            deadline=seconds(deadline),
            ns=found.namespace,
            name=found.name,
        )


OLD_PODS: Final = Saying(
    "The old pods stay because too few new pods are available. {old} of the old pods are left.",
    "Find out why the new pods are not available, or undo the rollout",
)


@CONSEQUENCES.add("old-pods", OLD_PODS)
def old_pods(found: Workload) -> Iterator[Found]:
    """
    Old pods stay because new pods are not available.

    With `maxUnavailable: 0`, an old pod ends only when a new one is available. This finding is a
    consequence of the findings before it.
    """
    if found.complete or found.paused or not found.observed:
        return
    old = len([*found.old_pods()])
    if old and found.count("unavailableReplicas") > 0:
        yield OLD_PODS.found(
            f"status: updatedReplicas {found.count('updatedReplicas')}, "
            f"availableReplicas {found.count('availableReplicas')}",
            f"spec.strategy.rollingUpdate: maxUnavailable {_limit(found, 'maxUnavailable')}, "
            f"maxSurge {_limit(found, 'maxSurge')}",
            old=old,
            ns=found.namespace,
            name=found.name,
        )


def _limit(found: Workload, name: str) -> object:
    return part(found.deployment, "spec", "strategy", "rollingUpdate", name)


MIN_READY: Final = Saying(
    "New pods are ready, but count as available only after minReadySeconds ({minimum}). The newest "
    "of them has been ready for {age}.",
    "Wait",
)


@CONSEQUENCES.add("min-ready", MIN_READY)
def min_ready(found: Workload) -> Iterator[Found]:
    """
    A new pod has to be ready for a while.

    `minReadySeconds` is the time that a new pod has to be ready before the rollout continues.
    """
    minimum = whole(found.deployment, "spec", "minReadySeconds")
    ages = [
        found.now - since for each in found.new_pods() if each.ready and (since := _since(each))
    ]
    if not found.complete and ages and min(ages) < minimum:
        yield MIN_READY.found(
            f"spec.minReadySeconds: {minimum}",
            minimum=seconds(minimum),
            age=seconds(min(ages)),
        )


def _since(pod: Facts) -> float:
    return moment(text(pod.the_condition("Ready"), "lastTransitionTime"))


UNEXPLAINED: Final = Saying(
    "The rollout is not complete, and none of the known causes applies. It may only need more time.",
    "kubectl -n {ns} rollout status deploy/{name}",
)


@CONSEQUENCES.add("rollout", UNEXPLAINED, alone=True)
def unexplained(found: Workload) -> Iterator[Found]:
    """None of the known causes applies to the rollout."""
    if not found.complete:
        yield UNEXPLAINED.found(
            f"status: replicas {found.count('replicas')}, "
            f"updatedReplicas {found.count('updatedReplicas')}, "
            f"availableReplicas {found.count('availableReplicas')} of {found.wanted}",
            ns=found.namespace,
            name=found.name,
        )
