"""Pods whose containers crash or cannot be created, in one way each."""

from __future__ import annotations

import json

from plugins.fleet.tests.why_cases import (
    BACK_OFF,
    KILLED_AT_START,
    KILLED_LIVE,
    STARTING,
    Case,
    broken,
    budgeted,
    changed,
    container,
    imageless,
    unanswered,
    wrong_readiness,
)
from plugins.fleet.tests.why_objects import (
    TOLD,
    Object,
    answers,
    at,
    crashed,
    event,
    foreign,
    pod,
    refused,
    running,
    status,
    terminated,
    unhealthy,
    waiting,
)


def without_annotation(found: Object) -> Object:
    return changed(found, lambda each: each["metadata"].update(annotations={}))


CRASHES = {
    "out of memory": Case(
        broken(pod(crashed(137, "OOMKilled"), ready=False), BACK_OFF, answers=unanswered()),
        ("out-of-memory",),
        "Container orders used more memory than its limit of 256Mi",
        "resources.limits.memory",
    ),
    "a startup probe that allows too little, for a step of the start": Case(
        broken(
            changed(
                budgeted(5),
                lambda each: each["status"]["containerStatuses"].__setitem__(
                    0,
                    STARTING
                    | {"restartCount": 2, "lastState": terminated(137, ago=25)}
                    | {"state": {"running": {"startedAt": at(3)}}},
                ),
            ),
            KILLED_AT_START | {"lastTimestamp": at(26)},
            unhealthy("Startup", "HTTP probe failed with statuscode: 503"),
            answers=answers(
                status(
                    "starting",
                    start={"steps": [{"name": "program", "seconds": 2, "running": True}]},
                )
            ),
        ),
        ("startup-budget",),
        "The kubelet restarts container orders because the app was not ready within 5 s, which is all "
        "that its startup probe allows. This step of the start is running: program (2 s).",
    ),
    "a startup probe that has run out, without an event of it": Case(
        broken(
            changed(
                budgeted(5),
                lambda each: each["status"].update(containerStatuses=[crashed(143, ran=6)]),
            ),
            answers=unanswered(),
        ),
        ("startup-budget",),
        "Container orders was ended by a signal 6 s after its start, before its startup probe had "
        "passed. Either the time that the startup probe allows (5 s) was over, or another process has",
    ),
    "a startup probe that did not pass, for one of two causes": Case(
        broken(
            budgeted(5),
            KILLED_AT_START,
            unhealthy("Startup", "HTTP probe failed with statuscode: 503"),
            answers=unanswered(),
        ),
        ("startup-budget",),
        "The kubelet restarts container orders because its startup probe did not pass within 5 s. "
        "Either the app needs longer to start, or something keeps it from becoming ready.",
    ),
    "a start that was ended, and that nobody has seen finished": Case(
        broken(
            changed(
                budgeted(12),
                lambda each: each["metadata"].update(
                    annotations={
                        "pod-lifecycle.dev/status": json.dumps(
                            TOLD | {"state": "draining", "start": 14.0}
                        )
                    }
                ),
            ),
            KILLED_AT_START,
            answers=unanswered(),
        ),
        ("startup-budget",),
        "The startup probe of container orders allows 12 s. A start of the app has taken at least 14 s, "
        "and was not finished when the kubelet ended the container.",
        "The number is a guess.",
    ),
    "a liveness restart of a blocked loop": Case(
        broken(
            pod(crashed(137), ready=False),
            KILLED_LIVE,
            answers=unanswered(),
            logs={
                "orders": (
                    '{"event": "probe", "reason": "the app\'s loop was last seen 31 s ago"}',
                )
            },
        ),
        ("liveness-restart",),
        "The liveness probe has restarted container orders because the event loop of the app was "
        "blocked.",
    ),
    "a liveness restart for one of two causes": Case(
        broken(pod(crashed(137), ready=False), KILLED_LIVE, answers=unanswered()),
        ("liveness-restart",),
        "The liveness probe has restarted container orders. Either the app was busy for too long, or",
    ),
    "a liveness restart at the start, without a startup probe": Case(
        broken(
            foreign(crashed(137, name="web", ran=32), ready=False),
            event(
                "Killing", "Container web failed liveness probe, will be restarted", container="web"
            ),
            services=(),
            answers=unanswered(),
        ),
        ("liveness-restart",),
        "The liveness probe restarts container web 32 s after its start, and the container has no "
        "startup probe.",
        "add a startupProbe",
    ),
    "a wrong setting": Case(
        broken(
            pod(crashed(2), ready=False),
            answers=unanswered(),
            logs={"orders": ("lifecycle: settle=-1: must be 0 or more",)},
        ),
        ("crash",),
        "Container orders exits with 2 because the app could not start",
    ),
    "an exit with 2 for one of two causes": Case(
        broken(pod(crashed(2), ready=False), answers=unanswered()),
        ("crash",),
        "Container orders exits with 2. Either the app could not start",
    ),
    "a wrong configuration of another program": Case(
        broken(pod(crashed(78), ready=False), answers=unanswered()),
        ("crash",),
        "Container orders exits with 78, which programs use for a wrong configuration.",
    ),
    "out of memory without a limit": Case(
        broken(
            container(pod(crashed(137, "OOMKilled"), ready=False), resources={}),
            answers=unanswered(),
        ),
        ("out-of-memory",),
        "Container orders was ended by the kernel, because its node or its pod had too little memory.",
    ),
    "a QOS port that is not known": Case(
        broken(
            without_annotation(wrong_readiness()),
            unhealthy("Readiness", refused(8081)),
            answers=answers(listening=None),
        ),
        ("probe-port",),
        "The connection of the readinessProbe of container orders to port 8081 is refused.",
    ),
    "a command that ends by itself": Case(
        broken(pod(crashed(0, "Completed"), ready=False), answers=unanswered()),
        ("crash",),
        "Container orders exits with 0, so its command ends by itself",
    ),
    "a program that a shell does not find": Case(
        broken(pod(crashed(127), ready=False), answers=unanswered()),
        ("crash",),
        "Container orders exits with 127, which shells use for a program that is missing",
    ),
    "a crash loop, while the container runs": Case(
        broken(
            pod(
                STARTING
                | {"restartCount": 4, "lastState": terminated(1, ago=21, ran=25)}
                | {"state": {"running": {"startedAt": at(20)}}},
                ready=False,
            ),
            answers=unanswered(),
            logs={"orders": ('{"event": "starting", "level": "info"}', "KeyError: 'X'")},
        ),
        ("crash",),
        "Container orders exited with 1.",
    ),
    "a signal": Case(
        broken(pod(crashed(139), ready=False), answers=unanswered()),
        ("crash",),
        "Container orders was ended by the signal SIGSEGV.",
    ),
    "SIGKILL for one of two causes": Case(
        broken(pod(crashed(137), ready=False), answers=unanswered()),
        ("crash",),
        "Container orders was ended by SIGKILL. Either",
    ),
    "work that was cut off": Case(
        broken(pod(crashed(124), ready=False), answers=unanswered()),
        ("crash",),
        "Container orders exited with 124, so the drain cut off work at its deadline.",
    ),
    "an init container that does not end": Case(
        broken(
            changed(
                imageless("PodInitializing"),
                lambda each: (
                    each["spec"].update(initContainers=[{"name": "migrate", "image": "x"}]),
                    each["status"].update(
                        initContainerStatuses=[running("migrate", ready=False, ago=300)]
                    ),
                ),
            ),
            answers=unanswered(),
        ),
        ("init-container",),
        "The init container migrate has been running for 5 min",
        "-c migrate",
    ),
}


CREATED = {
    "an image name that is not valid": Case(
        broken(imageless("InvalidImageName", "couldn't parse image name"), answers=unanswered()),
        ("image",),
        "The image name registry.example/orders:1 of container orders is not valid.",
    ),
    "an image that is not on the node": Case(
        broken(imageless("ErrImageNeverPull"), answers=unanswered()),
        ("image",),
        "The image registry.example/orders:1 of container orders is not on the node",
    ),
    "an image that the registry denies": Case(
        broken(
            imageless("ErrImagePull", "pull access denied, repository does not exist"),
            answers=unanswered(),
        ),
        ("image",),
        "The registry refuses the image registry.example/orders:1 of container orders. Either",
    ),
    "a registry without a network": Case(
        broken(
            imageless(
                "ImagePullBackOff",
                "dial tcp: lookup registry.example on 10.255.255.53:53: dial udp 10.255.255.53:53: "
                "connect: network is unreachable",
            ),
            answers=unanswered(),
        ),
        ("image",),
        "The node cannot reach the registry of the image",
    ),
    "a registry without an address": Case(
        broken(
            imageless("ErrImagePull", "dial tcp: lookup registry.example: no such host"),
            answers=unanswered(),
        ),
        ("image",),
        "The node cannot reach the registry of the image",
    ),
    "a ConfigMap that does not exist": Case(
        broken(
            imageless("CreateContainerConfigError", 'configmap "orders" not found'),
            answers=unanswered(),
        ),
        ("container-config",),
        "Container orders needs the configmap orders, which does not exist.",
    ),
    "a key that does not exist": Case(
        broken(
            imageless(
                "CreateContainerConfigError", "couldn't find key password in Secret shop/orders-db"
            ),
            answers=unanswered(),
        ),
        ("container-config",),
        "Container orders needs the key password of the secret orders-db",
    ),
    "an image that runs as root": Case(
        broken(
            imageless(
                "CreateContainerConfigError",
                "container has runAsNonRoot and image will run as root (pod: x)",
            ),
            answers=unanswered(),
        ),
        ("container-config",),
        "Container orders has runAsNonRoot, but its image runs as root",
    ),
    "a container that has to run as root, and must not": Case(
        broken(
            imageless(
                "CreateContainerConfigError",
                'container\'s runAsUser breaks non-root policy (pod: "x", container: orders)',
            ),
            answers=unanswered(),
        ),
        ("container-config",),
        "Container orders has runAsNonRoot, but its runAsUser is 0, the number of root.",
        "securityContext.runAsUser: 10001",
    ),
    "a command that is not in the image": Case(
        broken(
            pod(
                waiting("CrashLoopBackOff", "back-off 10s")
                | {
                    "restartCount": 1,
                    "lastState": {
                        "terminated": {
                            "exitCode": 128,
                            "reason": "StartError",
                            "finishedAt": at(4),
                            "message": "failed to create containerd task: OCI runtime create failed: "
                            'exec: "lifecycle": executable file not found in $PATH: unknown',
                        }
                    },
                },
                ready=False,
            ),
            answers=unanswered(),
        ),
        ("container-start",),
        "The image of container orders does not have the program lifecycle.",
    ),
    "a volume of a Secret that does not exist": Case(
        broken(
            imageless("ContainerCreating"),
            event(
                "FailedMount",
                'MountVolume.SetUp failed for volume "tls" : secret "orders-tls" not found',
                container="",
            ),
            answers=unanswered(),
        ),
        ("volume",),
        "A volume of the pod needs the secret orders-tls, which does not exist.",
    ),
    "a volume that is attached elsewhere": Case(
        broken(
            imageless("ContainerCreating"),
            event(
                "FailedAttachVolume",
                'Multi-Attach error for volume "pvc-1" Volume is already used by pod(s) orders-0',
                container="",
            ),
            answers=unanswered(),
        ),
        ("volume",),
        "A volume of the pod is still attached to another node.",
    ),
}
