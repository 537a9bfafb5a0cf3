"""Pods whose probes ask a wrong port, in one way each."""

from __future__ import annotations

from plugins.fleet.tests.why_cases import (
    UNREADY,
    Case,
    broken,
    container,
    unanswered,
    wrong_readiness,
)
from plugins.fleet.tests.why_objects import event, foreign, pod, probe, refused, running, unhealthy

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
    "a port with a name that is open on 127.0.0.1 only": Case(
        broken(
            container(pod(UNREADY, ready=False), readinessProbe=probe("/ready", "port-8080")),
            unhealthy("Readiness", refused(8080)),
            answers=unanswered(listening={8080: False}),
        ),
        ("probe-port",),
        "The readinessProbe of container orders uses port port-8080, but the app listens on this port "
        "only on 127.0.0.1.",
        "Make the app listen on 0.0.0.0:8080",
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
    "a path of the app that does not exist, in a pod of ours": Case(
        broken(
            wrong_readiness(8080, "/healthz"),
            unhealthy("Readiness", "HTTP probe failed with statuscode: 404"),
        ),
        ("probe-path",),
        "The readinessProbe of container orders requests /healthz on port 8080, and the app answers "
        "404. pod-lifecycle answers probes on port 22222.",
        "let readinessProbe use httpGet with path: /ready and port: 22222",
    ),
    "a path of the app that does not exist, without an event of it": Case(
        broken(
            wrong_readiness(8080, "/healthz"),
            unhealthy("Startup", "HTTP probe failed with statuscode: 503", count=25, ago=50),
        ),
        ("app-probe",),
        "The readinessProbe of container orders uses port 8080, and has not passed. pod-lifecycle "
        "answers probes on port 22222, and answers there that the app is ready.",
        "let readinessProbe use httpGet with path: /ready and port: 22222",
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
