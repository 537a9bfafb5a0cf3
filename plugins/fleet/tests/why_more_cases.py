"""More pods that are broken in one way each."""

from __future__ import annotations

from lifecycle_fleet.why.facts import Missing

from plugins.fleet.tests.why_cases import (
    BACK_OFF,
    FORBIDDEN,
    GONE,
    KILLED_AT_START,
    KILLED_LIVE,
    NO_GATE,
    STARTING,
    UNREADY,
    UNSCHEDULABLE,
    Case,
    broken,
    budgeted,
    changed,
    container,
    imageless,
    pending,
    spec,
    unanswered,
    without,
    wrong_readiness,
)
from plugins.fleet.tests.why_objects import (
    OPEN,
    TOLD,
    Object,
    answers,
    at,
    budget,
    condition,
    crashed,
    event,
    exported,
    facts,
    foreign,
    leaving,
    node,
    piece,
    pod,
    probe,
    refused,
    running,
    service,
    status,
    terminated,
    unhealthy,
    waiting,
)


def without_annotation(found: Object) -> Object:
    return changed(found, lambda each: each["metadata"].update(annotations={}))


PORTS = {
    "a port on which nothing listens, in a foreign pod": Case(
        broken(
            foreign(running("web", ready=False), ready=False),
            unhealthy("Readiness", refused(80, "/healthz"), container="web"),
            services=(),
            answers=unanswered(listening={8000: True}),
        ),
        ("probe-port",),
        "The readinessProbe of container web uses port 80, but nothing in the pod listens on this "
        "port. Open ports: 8000.",
        "0.0.0.0:80",
    ),
    "a port that is not open yet": Case(
        broken(
            foreign(running("web", ready=False, ago=4), ready=False),
            unhealthy("Readiness", refused(80, "/healthz"), container="web", ago=2),
            services=(),
            answers=unanswered(listening={}),
        ),
        ("probe-port",),
        "The readinessProbe of container web uses port 80, but nothing in the pod listens on this "
        "port yet. The container started 4 s ago. Open ports: none.",
        "Wait.",
    ),
    "a port that is open on 127.0.0.1 only": Case(
        broken(
            foreign(running("web", ready=False), ready=False),
            unhealthy("Readiness", refused(80, "/healthz"), container="web"),
            services=(),
            answers=unanswered(listening={80: False}),
        ),
        ("probe-port",),
        "The readinessProbe of container web uses port 80, but the app listens on this port only on "
        "127.0.0.1.",
        "0.0.0.0:80",
    ),
    "a port that refuses, and no answer of the pod": Case(
        broken(
            foreign(running("web", ready=False), ready=False),
            unhealthy("Readiness", refused(80, "/healthz"), container="web"),
            services=(),
            answers=unanswered(),
        ),
        ("probe-port",),
        "The connection of the readinessProbe of container web to port 80 is refused. There are three "
        "possible causes.",
        "cat /proc/net/tcp",
    ),
    "a port without an event": Case(
        broken(wrong_readiness()),
        ("probe-port",),
        "The readinessProbe of container orders uses port 8081, but pod-lifecycle answers",
    ),
    "a port whose name the container does not have": Case(
        broken(
            container(pod(UNREADY, ready=False), readinessProbe=probe("/ready", "web")),
            unhealthy("Readiness", 'strconv.Atoi: parsing "web": invalid syntax'),
        ),
        ("probe-port",),
        "The readinessProbe of container orders uses the port name web, but the container does not "
        "declare a port with this name.",
    ),
    "a path that the app does not have": Case(
        broken(
            foreign(running("web", ready=False), ready=False),
            unhealthy("Readiness", "HTTP probe failed with statuscode: 404", container="web"),
            services=(),
            answers=unanswered(listening={80: True}),
        ),
        ("probe-path",),
        "The readinessProbe of container web requests /healthz on port 80, and the app answers 404.",
    ),
    "a path that is wrong, without an event of it": Case(
        broken(wrong_readiness(22222, "/redy")),
        ("probe-path",),
        "The readinessProbe of container orders requests /redy on the probe port 22222, which is not a "
        "path of a probe of pod-lifecycle.",
    ),
    "a path that is wrong, with an old event of another failure": Case(
        broken(
            wrong_readiness(22222, "/redy"), unhealthy("Readiness", refused(22222, "/redy"), ago=50)
        ),
        ("probe-path",),
        "The readinessProbe of container orders requests /redy on the probe port 22222, which is not a "
        "path of a probe of pod-lifecycle.",
    ),
    "HTTPS to plain HTTP": Case(
        broken(
            pod(UNREADY, ready=False),
            unhealthy(
                "Readiness",
                'Get "https://10.0.0.7:22222/ready": http: server gave HTTP response to HTTPS client',
            ),
        ),
        ("probe-scheme",),
        "The readinessProbe of container orders uses HTTPS, but port qos answers with plain HTTP.",
        "remove readinessProbe.httpGet.scheme",
    ),
    "HTTP to something else": Case(
        broken(
            pod(UNREADY, ready=False),
            unhealthy(
                "Readiness",
                'Get "http://10.0.0.7:8443/": net/http: HTTP/1.x transport connection broken: malformed '
                'HTTP response "\\x15\\x03"',
            ),
        ),
        ("probe-scheme",),
        "The readinessProbe of container orders uses HTTP, but the answer of port qos is not HTTP/1.",
    ),
    "a command of a probe that is missing": Case(
        broken(
            container(
                pod(UNREADY, ready=False), readinessProbe={"exec": {"command": ["curl", "-f", "x"]}}
            ),
            event(
                "Unhealthy",
                "Readiness probe errored and resulted in unknown state: rpc error: code = Unknown: "
                'failed to exec in container: exec: "curl": executable file not found in $PATH: unknown',
            ),
        ),
        ("probe-command",),
        "The readinessProbe of container orders runs curl, but the image does not have this program.",
    ),
    "a command of a probe that fails": Case(
        broken(
            container(
                pod(UNREADY, ready=False),
                readinessProbe={"exec": {"command": ["redis-cli", "ping"]}},
            ),
            unhealthy("Readiness", "Could not connect to Redis at 127.0.0.1:6379"),
        ),
        ("probe-command",),
        "The command of the readinessProbe of container orders fails.",
        "-- redis-cli ping",
    ),
    "a probe that needs a login": Case(
        broken(
            foreign(running("web", ready=False), ready=False),
            unhealthy("Readiness", "HTTP probe failed with statuscode: 401", container="web"),
            services=(),
            answers=unanswered(),
        ),
        ("probe-answer",),
        "The readinessProbe of container web requests /healthz on port 80, and the app answers 401 "
        "because it requires a login.",
    ),
    "a probe that is answered with 500": Case(
        broken(
            foreign(running("web", ready=False), ready=False),
            unhealthy("Readiness", "HTTP probe failed with statuscode: 500", container="web"),
            services=(),
            answers=unanswered(),
        ),
        ("probe-answer",),
        "The readinessProbe of container web requests /healthz on port 80, and the app answers 500.",
    ),
    "a probe without an answer": Case(
        broken(
            foreign(running("web", ready=False), ready=False),
            unhealthy(
                "Readiness",
                'Get "http://10.0.0.7:80/healthz": context deadline exceeded (Client.Timeout exceeded '
                "while awaiting headers)",
                container="web",
            ),
            services=(),
            answers=unanswered(),
        ),
        ("probe-answer",),
        "The readinessProbe of container web gets no answer from port 80 within 1 s. Either",
    ),
}

GATES = {
    "a gate, and the plugin turned off": Case(
        broken(
            container(
                pod(**NO_GATE), env=[{"name": "LIFECYCLE_KUBERNETES_ENABLED", "value": "false"}]
            ),
            answers=answers(status(plugins=[{"name": "state", "ok": True}])),
        ),
        ("gate-unset",),
        "The pod has the readiness gate pod-lifecycle.dev/registered, but lifecycle-kubernetes is "
        "turned off in the app",
        "Remove LIFECYCLE_KUBERNETES_ENABLED=false",
    ),
    "a gate, and the app without the plugin for one of two causes": Case(
        broken(pod(**NO_GATE), answers=answers(status(plugins=[{"name": "state", "ok": True}]))),
        ("gate-unset",),
        "The pod has the readiness gate pod-lifecycle.dev/registered, but the app runs without "
        "lifecycle-kubernetes",
        "lifecycle plugins",
    ),
    "a gate, and the plugin has failed": Case(
        broken(
            pod(**NO_GATE),
            answers=answers(
                status(
                    plugins=[
                        {"name": "kubernetes", "ok": False, "problem": "ImportError: lightkube"}
                    ]
                )
            ),
        ),
        ("gate-unset",),
        "The pod has the readiness gate pod-lifecycle.dev/registered, but the plugin "
        "lifecycle-kubernetes has failed",
    ),
    "a gate, and no token of a ServiceAccount": Case(
        broken(
            spec(without(pod(**NO_GATE), "volumeMounts"), automountServiceAccountToken=False),
            answers=answers(status(services=[exported() | {"registrations": {}}])),
        ),
        ("gate-unset",),
        "The pod has the readiness gate pod-lifecycle.dev/registered, but no token",
        "automountServiceAccountToken: true",
    ),
    "a gate, and an app without services": Case(
        broken(pod(**NO_GATE), answers=answers(status(services=[]))),
        ("gate-unset",),
        "The pod has the readiness gate pod-lifecycle.dev/registered, but the app exports no service",
        "LIFECYCLE_SERVICES",
    ),
    "a gate, and a pod that cannot be asked": Case(
        broken(pod(**NO_GATE), answers=unanswered()),
        ("gate-unset",),
        "All containers are ready, but the readiness gate pod-lifecycle.dev/registered is not set.",
    ),
    "a gate, and a review that says no": Case(
        broken(pod(STARTING, ready=False, gate=None), answers=unanswered(), may_register=False),
        ("gate-rights",),
        "The ServiceAccount orders may not register the pod",
    ),
    "a gate of a load balancer": Case(
        broken(
            changed(
                pod(**NO_GATE),
                lambda each: (
                    each["spec"].update(
                        readinessGates=[{"conditionType": "target-health.elbv2/x"}]
                    ),
                    each["status"]["conditions"].append(
                        condition(
                            "target-health.elbv2/x", "False", reason="Initial", message="wait"
                        )
                    ),
                ),
            )
        ),
        ("gate-foreign",),
        "The readiness gate target-health.elbv2/x is not True.",
    ),
}

APPS = {
    "a registry that cannot be reached": Case(
        broken(
            pod(STARTING, ready=False, gate=None),
            unhealthy("Startup", "HTTP probe failed with statuscode: 503"),
            answers=answers(
                status("exporting", services=[exported("unknown", "unreachable: no route to host")])
            ),
        ),
        ("registration",),
        "The service orders is not registered in the service registry kubernetes. Its answer: "
        "unreachable: no route to host",
    ),
    "every service offline by an administrator": Case(
        broken(
            pod(
                UNREADY, ready=False, gate=False, told=TOLD | {"online": [], "offline": ["orders"]}
            ),
            unhealthy("Readiness", "HTTP probe failed with statuscode: 503"),
            answers=answers(
                status(services=[exported("no", online=False, held_by={"operator": "10.0.0.9"})])
            ),
        ),
        ("offline",),
        "An administrator has taken every service of the app offline",
        "-- lifecycle online",
    ),
    "every service offline by the app": Case(
        broken(
            pod(UNREADY, ready=False, gate=False),
            answers=answers(
                status(services=[exported("no", online=False, held_by={"app": "warm-up"})])
            ),
        ),
        ("offline",),
        "The app itself has taken every service offline",
        "set_offline",
    ),
    "every service offline, as the annotation has it": Case(
        broken(
            pod(
                UNREADY, ready=False, gate=False, told=TOLD | {"online": [], "offline": ["orders"]}
            ),
            answers=unanswered(),
        ),
        ("offline",),
        "Every service of the app is offline",
    ),
    "a blocked event loop": Case(
        broken(
            pod(UNREADY, ready=False, told=TOLD),
            unhealthy("Readiness", "HTTP probe failed with statuscode: 503"),
            answers=answers(
                status(
                    probes=[
                        {
                            "kind": "readiness",
                            "name": "loop",
                            "ok": False,
                            "reason": "the app's loop was last seen 12.1 s ago",
                        }
                    ]
                )
            ),
        ),
        ("loop-blocked",),
        "The event loop of the app is blocked",
        "lifecycle inflight --stacks",
    ),
    "a probe of the app that fails": Case(
        broken(
            pod(UNREADY, ready=False, told=TOLD),
            unhealthy("Readiness", "HTTP probe failed with statuscode: 503"),
            answers=answers(
                status(
                    probes=[
                        {"kind": "readiness", "name": "postgres", "ok": False, "reason": "no route"}
                    ]
                )
            ),
        ),
        ("probe-fails",),
        "The readiness probe postgres of the app fails with the reason: no route",
        "lifecycle probe ready",
    ),
    "a 503 of ours, whose reason cannot be read": Case(
        broken(
            pod(UNREADY, ready=False, told=TOLD),
            unhealthy("Readiness", "HTTP probe failed with statuscode: 503"),
            answers=unanswered(),
        ),
        ("probe-fails",),
        "The readinessProbe of container orders fails because pod-lifecycle itself answers that the "
        "app is not ready.",
    ),
    "a start that takes its time": Case(
        broken(
            pod(STARTING, ready=False, gate=None),
            unhealthy("Startup", "HTTP probe failed with statuscode: 503"),
            answers=answers(
                status(
                    "starting",
                    start={"steps": [{"name": "program", "seconds": 18.5, "running": True}]},
                )
            ),
        ),
        ("starting",),
        "The app is still starting, for 20 s so far. This step of the start is running: program (18 s)",
        "The startup probe allows 2 min",
    ),
    "a container that is being created": Case(
        broken(
            imageless("ContainerCreating"),
            event("Pulling", 'Pulling image "registry.example/orders:1"', type="Normal"),
            answers=unanswered(),
        ),
        ("starting",),
        "The kubelet is still creating container orders.",
    ),
    "a foreign container that is not ready yet": Case(
        broken(
            foreign(running("web", ready=False, ago=3), ready=False),
            services=(),
            answers=unanswered(),
        ),
        ("starting",),
        "Container web has been running for 3 s, and its readinessProbe has not passed yet.",
    ),
}

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

PLACES = {
    "a node selector": Case(
        broken(
            pending(UNSCHEDULABLE + "3 node(s) didn't match Pod's node affinity/selector."),
            answers=unanswered(),
        ),
        ("unschedulable",),
        "The nodeSelector or the node affinity of the pod excludes every node.",
    ),
    "a taint": Case(
        broken(
            pending(UNSCHEDULABLE + "3 node(s) had untolerated taint {gpu: true}."),
            answers=unanswered(),
        ),
        ("unschedulable",),
        "The pod does not tolerate the taint {gpu: true} of every node.",
    ),
    "a scheduling gate": Case(
        broken(
            changed(
                pending("", "SchedulingGated"),
                lambda each: each["spec"].update(schedulingGates=[{"name": "shop.example/quota"}]),
            ),
            answers=unanswered(),
        ),
        ("unschedulable",),
        "The scheduling gate shop.example/quota keeps the pod from being scheduled.",
    ),
    "a scheduler that does not run": Case(
        broken(
            changed(
                spec(pending(""), schedulerName="volcano"),
                lambda each: each["status"].update(conditions=[]),
            ),
            answers=unanswered(),
        ),
        ("unschedulable",),
        "No scheduler has looked at the pod for 5 min. Its schedulerName is volcano.",
    ),
    "a node that is silent": Case(
        broken(pod(UNREADY, ready=False), node=node("Unknown", beat=90), answers=unanswered()),
        ("node",),
        "The kubelet of the node node-1 has not reported for 90 s",
    ),
    "a node that is gone": Case(
        broken(pod(UNREADY, ready=False, **leaving(300)), node=None, answers=unanswered()),
        ("node",),
        "The node node-1 no longer exists",
        "--force",
    ),
    "a pod that was evicted": Case(
        broken(
            changed(
                pod(ready=False, phase="Failed"),
                lambda each: each["status"].update(
                    reason="Evicted", message="The node was low on resource: memory."
                ),
            ),
            answers=unanswered(),
        ),
        ("pod-ended",),
        "The pod was ended with the reason Evicted",
    ),
}

LEAVING = {
    "an image without lifecycle": Case(
        facts(
            answers=unanswered(
                "exec: lifecycle: executable file not found in $PATH", no_program=True
            )
        ),
        ("prestop",),
        "The preStop hook of container orders runs lifecycle, but the image does not have this",
    ),
    "a preStop hook that fails": Case(
        broken(
            pod(UNREADY, ready=False, gate=False, **leaving(12)),
            event("FailedPreStopHook", "PreStopHook failed"),
            answers=unanswered(),
        ),
        ("prestop",),
        "The preStop hook of container orders has failed.",
    ),
    "a preStop hook that hangs": Case(
        broken(
            container(
                pod(UNREADY, ready=False, gate=False, **leaving(12)),
                lifecycle={"preStop": {"exec": {"command": ["sleep", "600"]}}},
            ),
        ),
        ("prestop",),
        "The pod was deleted 12 s ago, but the app in container orders has not been told to stop. "
        "Either its preStop hook is still running, or",
    ),
    "containers that do not end": Case(
        broken(pod(UNREADY, ready=False, gate=False, **leaving(90)), answers=unanswered()),
        ("not-removed",),
        "The grace period ended 60 s ago, but containers of the pod still run.",
    ),
    "a pod that is not removed": Case(
        broken(
            pod(
                running(ready=False) | {"state": terminated(0, "Completed", ago=70)},
                ready=False,
                **leaving(100),
            ),
            event("FailedKillPod", "error killing pod: failed to unmount", container=""),
            answers=unanswered(),
        ),
        ("not-removed",),
        "No container of the pod runs and the grace period ended 70 s ago",
    ),
    "a grace period that is too short": Case(
        facts(pod(told=TOLD | {"grace": 60})),
        ("grace-period",),
        "The app plans 60 s for its drain, but terminationGracePeriodSeconds is 30 s.",
        "terminationGracePeriodSeconds: 60",
    ),
    "two PodDisruptionBudgets": Case(
        facts(budgets=(budget(), budget() | {"metadata": {"name": "all", "generation": 1}})),
        ("eviction",),
        "The pod is selected by several PodDisruptionBudgets (orders, all)",
    ),
    "a PodDisruptionBudget that never allows a drain": Case(
        facts(node=node(cordoned=True), budgets=(budget(0, 2, 2, 2, minAvailable=2),)),
        ("eviction",),
        "The node node-1 is cordoned, but the pod can never be evicted from it.",
    ),
}

SERVICES = {
    "a targetPort on which nothing listens": Case(
        facts(services=(service(target=8000),)),
        ("service-port",),
        "The Service orders sends requests to port 8000, but nothing in the pod listens on this port. "
        "Open ports: 8080, 22222.",
    ),
    "a targetPort that is open on 127.0.0.1 only": Case(
        facts(answers=answers(listening=OPEN | {8080: False})),
        ("service-port",),
        "The Service orders sends requests to port port-8080, but the app listens on this port only on",
    ),
    "a targetPort with a name that no container has": Case(
        facts(services=(service(target="http"),)),
        ("service-port",),
        "The Service orders sends requests to the port name http, but no container of the pod declares",
        "port-8080, qos",
    ),
    "a label that the pod does not have": Case(
        facts(services=(service(labels={"tier": "web"}),), slices=(piece(pods=()),)),
        ("service-selector",),
        "No Service selects the pod. The Service orders selects tier=web, but the pod has no label tier",
    ),
    "slices without the pod": Case(
        facts(slices=()),
        ("endpoints-late",),
        "The pod has been Ready for 60 s, but no EndpointSlice of the Service orders has it",
    ),
    "slices with an old state": Case(
        facts(slices=GONE),
        ("endpoints-late",),
        "The pod has been Ready for 60 s, but the EndpointSlice of the Service orders has it as not",
    ),
}

OTHERS = {
    "a kubelet that sees another answer than the app gives": Case(
        broken(pod(UNREADY, ready=False)),
        ("unexplained",),
        "The app in container orders answers that it is ready, but its readinessProbe has not passed",
    ),
    "a pod that no rule explains": Case(
        broken(foreign(running("web", ready=True), ready=False), services=(), answers=unanswered()),
        ("unexplained",),
        "The pod is not ready, and none of the known causes applies.",
    ),
    "a pod of which only the gate is false, refused in words": Case(
        broken(
            pod(**NO_GATE),
            answers=answers(status(services=[exported("no", FORBIDDEN)])),
        ),
        ("gate-rights",),
        "The ServiceAccount orders may not register the pod",
    ),
    "a pod that may be read only in part": Case(
        broken(
            wrong_readiness(),
            unhealthy("Readiness", refused(8081)),
            services=(),
            slices=(),
            answers=unanswered(),
            missing=(
                Missing("services", "forbidden", "apiGroups: [], resources: [services]"),
                Missing("endpointslices", "forbidden", ""),
            ),
        ),
        ("probe-port",),
        "The readinessProbe of container orders uses port 8081, but pod-lifecycle answers probes on",
    ),
}

MORE: dict[str, Case] = {
    **PORTS,
    **GATES,
    **APPS,
    **CRASHES,
    **CREATED,
    **PLACES,
    **LEAVING,
    **SERVICES,
    **OTHERS,
}
