"""Deployments in each state of a rollout, and what has to be said about them."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any, NamedTuple

from lifecycle_fleet.why.events import read
from lifecycle_fleet.why.facts import Facts, Missing
from lifecycle_fleet.why.workload import Workload

from plugins.fleet.tests.why_cases import BACK_OFF, UNREADY, broken, unanswered
from plugins.fleet.tests.why_objects import (
    NOW,
    NS,
    TOLD,
    Object,
    answers,
    at,
    condition,
    crashed,
    event,
    exported,
    facts,
    leaving,
    piece,
    pod,
    status,
)

OLD = "6b7f8d9c5"
NEW = "5d9c7b6f4"


class Rollout(NamedTuple):
    """A Deployment, the rules that say what is wrong, and a part of the headline."""

    workload: Workload
    rules: tuple[str, ...]
    headline: str


def replica_set(hashed: str, revision: int, replicas: int = 2, wanted: int = 2) -> Object:
    return {
        "metadata": {
            "namespace": NS,
            "name": f"orders-{hashed}",
            "uid": f"rs-{hashed}",
            "labels": {"app.kubernetes.io/name": "orders", "pod-template-hash": hashed},
            "annotations": {"deployment.kubernetes.io/revision": str(revision)},
        },
        "spec": {"replicas": wanted},
        "status": {"replicas": replicas},
    }


def deployment(
    updated: int = 2,
    available: int = 2,
    replicas: int = 2,
    *conditions: Object,
    generation: int = 1,
    **spec: Any,
) -> Object:
    return {
        "metadata": {
            "namespace": NS,
            "name": "orders",
            "uid": "deploy-1",
            "generation": generation,
        },
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app.kubernetes.io/name": "orders"}},
            "strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            **spec,
        },
        "status": {
            "observedGeneration": 1,
            "replicas": replicas,
            "updatedReplicas": updated,
            "availableReplicas": available,
            "unavailableReplicas": max(0, replicas - available),
            "conditions": [*conditions],
        },
    }


def scaled_to(replicas: int) -> Object:
    found = deployment(replicas, replicas, replicas)
    found["spec"]["replicas"] = replicas
    return found


def being_deleted() -> Object:
    found = deployment()
    found["metadata"] |= {"deletionTimestamp": at(40), "finalizers": ["foregroundDeletion"]}
    return found


def named(found: Facts, name: str, hashed: str = NEW) -> Facts:
    """The same pod with another name, and of another ReplicaSet."""
    changed = copy.deepcopy(dict(found.pod))
    changed["metadata"] |= {"name": name, "uid": name}
    changed["metadata"]["labels"]["pod-template-hash"] = hashed
    return replace(found, pod=changed)


FOUND = (piece(pods=("a", "b", "old-a", "old-b")),)
GOOD = tuple(named(facts(slices=FOUND), name) for name in ("a", "b"))
OLD_GOOD = tuple(named(facts(slices=FOUND), name, OLD) for name in ("old-a", "old-b"))
CRASHING = broken(
    pod(crashed(1), ready=False),
    BACK_OFF,
    answers=unanswered(),
    logs={"orders": ("KeyError: 'DATABASE_URL'",)},
)
SETS = (replica_set(OLD, 1), replica_set(NEW, 2, 1))
STUCK = deployment(1, 2, 3)
QUOTA = (
    'pods "orders-5d9c7b6f4-x" is forbidden: exceeded quota: small, requested: cpu=1, used: cpu=4, '
    "limited: cpu=4"
)
SECURITY = (
    'pods "orders-5d9c7b6f4-x" is forbidden: violates PodSecurity "restricted:latest": '
    'allowPrivilegeEscalation != false (container "orders" must set ...)'
)
DOWN = 'Internal error occurred: failed calling webhook "policy.example": connection refused'


def refusing(message: str) -> Workload:
    failing = condition("ReplicaFailure", "True", reason="FailedCreate", message=message)
    return Workload(
        deployment=deployment(0, 2, 2, failing),
        now=NOW,
        replica_sets=(replica_set(OLD, 1), replica_set(NEW, 2, 0)),
        pods=OLD_GOOD,
        events=read([event("FailedCreate", f"Error creating: {message}", container="")]),
    )


def offline(name: str) -> Facts:
    found = broken(
        pod(UNREADY, ready=False, gate=False, told=TOLD | {"online": [], "offline": ["orders"]}),
        answers=answers(status(services=[exported("no", online=False, held_by={"operator": "x"})])),
    )
    return named(found, name)


ROLLOUTS: dict[str, Rollout] = {
    "rolled out": Rollout(
        Workload(deployment=deployment(), now=NOW, replica_sets=SETS, pods=GOOD),
        (),
        "is complete. 2 pods are available, and clients find them.",
    ),
    "rolled out, and an old pod drains": Rollout(
        Workload(
            deployment=deployment(),
            now=NOW,
            replica_sets=SETS,
            pods=(
                *GOOD,
                named(
                    broken(pod(UNREADY, ready=False, **leaving(4)), answers=unanswered()), "o", OLD
                ),
            ),
        ),
        (),
        "is complete. 2 pods are available, and clients find them.",
    ),
    "a new pod that crashes": Rollout(
        Workload(
            deployment=STUCK,
            now=NOW,
            replica_sets=SETS,
            pods=(named(CRASHING, "c"), *OLD_GOOD),
        ),
        ("crash", "old-pods"),
        "is not complete. 0 of 2 new pods are ready. 2 pods are old.",
    ),
    "three pods with the same finding": Rollout(
        Workload(
            deployment=deployment(3, 0, 3),
            now=NOW,
            replica_sets=SETS,
            pods=(offline("a"), offline("b"), offline("c")),
        ),
        ("offline",),
        "is not complete. 0 of 2 new pods are ready.",
    ),
    "paused": Rollout(
        Workload(
            deployment=deployment(0, 2, 2, paused=True), now=NOW, replica_sets=SETS, pods=OLD_GOOD
        ),
        ("paused",),
        "is not complete. 0 of 2 new pods are ready. 2 pods are old.",
    ),
    "paused after a rollout": Rollout(
        Workload(deployment=deployment(paused=True), now=NOW, replica_sets=SETS, pods=GOOD),
        (),
        "is complete.",
    ),
    "without a controller": Rollout(
        Workload(deployment=deployment(generation=2), now=NOW, replica_sets=SETS, pods=OLD_GOOD),
        ("not-observed",),
        "is not complete.",
    ),
    "scaled to zero": Rollout(
        Workload(deployment=scaled_to(0), now=NOW),
        (),
        "is complete, with 0 pods.",
    ),
    "over the quota": Rollout(refusing(QUOTA), ("failed-create",), "is not complete."),
    "against the Pod Security Standard": Rollout(
        refusing(SECURITY), ("failed-create",), "is not complete."
    ),
    "without its ServiceAccount": Rollout(
        refusing('error looking up service account shop/x: serviceaccount "x" not found'),
        ("failed-create",),
        "is not complete.",
    ),
    "without the values that a quota wants": Rollout(
        refusing("failed quota: small: must specify limits.cpu for: orders; limits.memory for: x"),
        ("failed-create",),
        "is not complete.",
    ),
    "beyond a LimitRange": Rollout(
        refusing("maximum memory usage per Container is 128Mi, but limit is 256Mi"),
        ("failed-create",),
        "is not complete.",
    ),
    "being deleted": Rollout(
        Workload(deployment=being_deleted(), now=NOW, replica_sets=SETS, pods=GOOD),
        ("deployment-deleted",),
        "is complete.",
    ),
    "refused by a webhook": Rollout(
        refusing('admission webhook "policy.example" denied the request: no'),
        ("failed-create",),
        "is not complete.",
    ),
    "with a webhook that is down": Rollout(refusing(DOWN), ("failed-create",), "is not complete."),
    "refused for another reason": Rollout(
        refusing("is invalid: spec.containers[0].image: Required value"),
        ("failed-create",),
        "is not complete.",
    ),
    "after the deadline": Rollout(
        Workload(
            deployment=deployment(
                1,
                2,
                3,
                condition(
                    "Progressing",
                    "False",
                    reason="ProgressDeadlineExceeded",
                    message='ReplicaSet "orders-5d9c7b6f4" has timed out progressing.',
                ),
            ),
            now=NOW,
            replica_sets=SETS,
            pods=(named(CRASHING, "c"), *OLD_GOOD),
        ),
        ("crash", "progress-deadline", "old-pods"),
        "is not complete. 0 of 2 new pods are ready. 2 pods are old.",
    ),
    "in minReadySeconds": Rollout(
        Workload(
            deployment=deployment(1, 2, 3, minReadySeconds=120),
            now=NOW,
            replica_sets=SETS,
            pods=(GOOD[0], *OLD_GOOD),
        ),
        ("old-pods", "min-ready"),
        "is not complete. 1 of 2 new pods are ready. 2 pods are old.",
    ),
    "at an end that no rule explains": Rollout(
        Workload(deployment=deployment(1, 1, 1), now=NOW, replica_sets=SETS, pods=GOOD[:1]),
        ("rollout",),
        "is not complete. 1 of 2 new pods are ready.",
    ),
    "read in part": Rollout(
        Workload(
            deployment=STUCK,
            now=NOW,
            pods=(named(CRASHING, "c"),),
            more=4,
            missing=(Missing("replicasets", "forbidden", "apiGroups: [apps]"),),
        ),
        ("crash",),
        "is not complete.",
    ),
}
WORKLOADS = {name: each.workload for name, each in ROLLOUTS.items()}
