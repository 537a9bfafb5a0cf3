"""How pods end: what the rules of termination find."""

from __future__ import annotations

from typing import Any

from tests.checks.kit import GATE, PRESTOP, QOS, RUN, SERVED, SH, TOKEN, WEB, env, http, pod, sleep

LINUX = {"os": {"name": "linux"}}

TERMINATION: list[tuple[list[str], tuple[dict[str, Any], ...]]] = [
    # grace-period
    ([], (pod(SERVED),)),
    (["error grace-period"], (pod(SERVED, terminationGracePeriodSeconds=20),)),
    ([], (pod(SERVED | env(LIFECYCLE_GRACE_PERIOD="20"), terminationGracePeriodSeconds=20),)),
    ([], (pod(SERVED | env(LIFECYCLE_GRACE_PERIOD="20")),)),
    ([], (pod(SERVED | {"envFrom": [{}]}, terminationGracePeriodSeconds=20),)),
    (["error grace-period"], (pod(WEB, terminationGracePeriodSeconds=0),)),
    (["error grace-period", "warning prestop-sleep"], (pod(WEB | sleep("sleep", "30")),)),
    (["error grace-period", "warning prestop-sleep"], (pod(WEB | sleep(*SH, "sleep 1m")),)),
    (["warning prestop-sleep"], (pod(WEB | sleep("sleep", "29")),)),
    (
        ["error grace-period", "warning prestop-sleep"],
        (pod({"args": ["gunicorn", "--graceful-timeout=20"]} | sleep("sleep", "15")),),
    ),
    (
        ["error grace-period"],
        (pod({"args": ["uvicorn", "a:b", "--timeout-graceful-shutdown", "31"]}),),
    ),
    (["error grace-period", "error prestop-sleep"], (pod(RUN | QOS | sleep("sleep", "20")),)),
    *(
        (expected, (pod(WEB | sleep(*SH, script)),))
        for expected, script in (
            (["error grace-period"], "sleep 20\nflush && sleep 10"),
            (["error grace-period", "warning prestop-sleep"], "sleep 29; echo x; sleep 1"),
            ([], "if a; then sleep 20; else sleep 20; fi"),
            (["warning prestop-sleep"], "# was: sleep 60\nsleep 5"),
            ([], "stop; while up; do sleep 60; done"),
            ([], "stop || sleep 60"),
            ([], "timeout 5 sleep 60"),
            ([], "(sleep 60; report) & stop"),
        )
    ),
    ([], (pod(SERVED, terminationGracePeriodSeconds=20, **GATE),)),
    (
        ["error grace-period"],
        (pod(SERVED | env(LIFECYCLE_GRACE_PERIOD="30"), terminationGracePeriodSeconds=20, **GATE),),
    ),
    # settings
    (["error settings"], (pod(SERVED | env(LIFECYCLE_SETTLE="25")),)),
    (["error settings"], (pod(SERVED | env(LIFECYCLE_QOS_PORT="http")),)),
    ([], (pod(SERVED | {"env": [
        {"name": "LIFECYCLE_SETTLE", "value": "28"},
        {"name": "LIFECYCLE_GRACE_PERIOD", "valueFrom": {"configMapKeyRef": {}}},
    ]}, terminationGracePeriodSeconds=60),)),
    # stop-signal
    *(
        (expected, (pod(container | {"lifecycle": {"stopSignal": name}}, **LINUX),))
        for container, name, expected in (
            (RUN | QOS, "SIGUSR1", ["error stop-signal"]),
            (RUN | QOS, "SIGRTMIN+3", ["error stop-signal"]),
            *((RUN | QOS, name, []) for name in ("SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP")),
            (WEB, "SIGUSR1", []),
            ({"command": ["uvicorn", "a:b"]} | WEB, "SIGQUIT", ["error stop-signal"]),
        )
    ),
    *(
        (
            [] if name in ("SIGTERM", "SIGINT", *also) else ["error stop-signal"],
            (pod({"command": [*command, "a:b"]} | QOS | {"lifecycle": PRESTOP["lifecycle"] | {"stopSignal": name}}, **LINUX),),
        )
        for command, also in (
            (["uvicorn"], ()),
            (["tini", "--", "hypercorn"], ()),
            (["python", "-m", "granian", "--interface", "asgi"], ()),
            (["sh", "-c", "exec fastapi run"], ()),
            (["gunicorn", "-k", "uvicorn.workers.UvicornWorker"], ("SIGQUIT",)),
        )
        for name in ("SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP", "SIGUSR2")
    ),
    # prestop-sleep
    ([], (pod(SERVED, sleep("sleep", "20")),)),
    (["warning prestop-sleep"], (pod(SERVED, {"command": ["uvicorn", "a:b"]} | sleep("sleep", "9")),)),
    (["error prestop-sleep"], (pod(RUN | QOS | {"lifecycle": {"preStop": {"sleep": {"seconds": 5}}}}),)),
    (["warning prestop-sleep"], (pod(sleep("python3", "-c", "import time; time.sleep(5)")),)),
    *(
        (["error prestop-sleep"], (pod(RUN | QOS | sleep(*command)),))
        for command in (
            [*SH, "sleep 10; lifecycle prestop"],
            [*SH, "sleep 15 && kill -TERM 1"],
            [*SH, "# give the load balancer time\nsleep 10"],
            ["/bin/busybox", "sleep", "10"],
        )
    ),
    ([], (pod(RUN | QOS | sleep(*SH, "lifecycle prestop; sleep 1")),)),
    ([], (pod(sleep(*SH, "nginx -s quit; sleep 10")),)),
    ([], (pod(sleep(*SH, "sleep 5 && kill -QUIT 1")),)),
    # shell-pid-1
    (["warning shell-pid-1"], (pod(WEB | {"command": [*SH, "python app.py"]}),)),
    (["warning shell-pid-1"], (pod(WEB | {"command": SH, "args": ["A=1 python app.py"]}),)),
    (["warning shell-pid-1"], (pod({"command": ["/bin/bash", "-lc", "python app.py"]}),)),
    *(
        (expected, (pod(WEB | {"command": ["/usr/bin/env", "bash", "-c", script]}),))
        for expected, script in (
            (["error shell-pid-1"], "exec_it | tee log"),
            (["error shell-pid-1"], "exec app | tee log"),
            (["warning shell-pid-1"], "(exec app)"),
            (["error shell-pid-1"], "(app) | tee log"),
            (["error shell-pid-1"], "(app; app) & wait"),
            (["error shell-pid-1"], "app & wait"),
            (["error shell-pid-1"], "while sleep 1; do app; done"),
            (["warning shell-pid-1"], ". ./traps.sh; app & wait"),
            (["warning shell-pid-1"], "exec 2>&1; app"),
            (["warning shell-pid-1"], "echo 'exec app' # exec app\napp"),
            ([], "# run the migrations\nmigrate\nexec app"),
            ([], "echo $# ${A#b} a#b\nexec app"),
            ([], "if [ -f x ]; then exec a; else exec b; fi"),
            ([], "{ exec app; }"),
            ([], "for each in 1 2; do exec app; done"),
            ([], "case $1 in a|b) exec x ;; (*) exec y ;; esac"),
            ([], "stop() { kill $p; }; trap stop TERM; app & p=$!; wait"),
            ([], "cat > conf <<END\nit's so; (\nEND\nexec app"),
            ([], "echo 'no end"),
            ([], "for ((i = 0; i < 3; i++)); do app; done"),
        )
    ),
    (["warning shell-pid-1"], (pod(WEB | {"command": ["tini", "--", *SH, "app; true"]}),)),
    ([], (pod(WEB | {"command": ["dumb-init", *SH, "app; true"]}),)),
    (["warning shell-pid-1"], (pod(WEB | {"command": ["dumb-init", "-c", *SH, "app; true"]}),)),
    (
        ["warning shell-pid-1"],
        (pod(WEB | {"command": ["dumb-init", *SH, "app; true"]} | env(DUMB_INIT_SETSID="0")),),
    ),
    (
        [],
        (pod(WEB | {"command": ["tini", *SH, "app; true"]} | env(TINI_KILL_PROCESS_GROUP="1")),),
    ),
    (  # to tini it is set
        [],
        (pod(WEB | {"command": ["tini", *SH, "app; true"]} | env(TINI_KILL_PROCESS_GROUP="")),),
    ),
    (["warning shell-pid-1"], (pod(WEB | {"command": ["tini", "--", *SH, "app; true", "-g"]}),)),
    (["warning shell-pid-1"], (pod({"command": [*SH, "while true; do app; done"]}),)),
    ([], (pod({"command": [*SH, "migrate && exec python app.py"]}),)),
    ([], (pod({"command": [*SH, "LEVEL=1 exec lifecycle run a:b 2>&1"]}),)),
    ([], (pod({"command": [*SH, "cd /x; exec app $(cat a | b) 'c; d'\n"]}),)),
    ([], (pod({"command": [*SH, "trap 'kill $p' TERM; app & p=$!; wait"]}),)),
    ([], (pod({"command": ["tini", "-g", "--", *SH, "a; b"]}),)),
    ([], (pod({"command": ["sh", "/entrypoint.sh"]}),)),
    ([], (pod({"command": ["bash"]}),)),
    ([], (pod({}, initContainers=[{"name": "i", "command": [*SH, "a; b"]}]),)),
    ([], (pod({}, initContainers=[{"restartPolicy": "Always", "command": [*SH, "a"]}]),)),
    # prestop-token
    (["error prestop-token"], (pod(RUN | http(None)),)),
    (["error prestop-token"], (pod(RUN | http(TOKEN)),)),
    (["error prestop-token"], (pod(RUN | http(TOKEN) | env(LIFECYCLE_PRESTOP_TOKEN="x" * 16)),)),
    ([], (pod(RUN | http(TOKEN) | env(LIFECYCLE_PRESTOP_TOKEN=TOKEN)),)),
    ([], (pod(RUN | http(TOKEN) | {"env": [
        {"name": "LIFECYCLE_PRESTOP_TOKEN", "valueFrom": {"secretKeyRef": {}}}
    ]}),)),
    (["error prestop-token"], (pod(RUN | http("a$$b" * 6) | env(LIFECYCLE_PRESTOP_TOKEN="a$$b" * 6)),)),
    ([], (pod(RUN | http("a$b" * 6) | env(LIFECYCLE_PRESTOP_TOKEN="a$$b" * 6)),)),
    ([], (pod(RUN | http("$(HOST)" * 3) | env(LIFECYCLE_PRESTOP_TOKEN="$$(HOST)" * 3)),)),
    ([], (pod(RUN | http(TOKEN) | env(OTHER="x", LIFECYCLE_PRESTOP_TOKEN="$(OTHER)" * 3)),)),
    (
        ["error prestop-token"],
        (pod(RUN | {"lifecycle": {"preStop": {"httpGet": {"path": "/prestop?x=1", "port": 22222}}}}),),
    ),
    (
        ["error prestop-token"],
        (pod(RUN | env(LIFECYCLE_PRESTOP_TOKEN=TOKEN) | {"lifecycle": {"preStop": {"httpGet": {
            "path": "/prestop", "port": 8080,
            "httpHeaders": [{"name": "X-Lifecycle-Token", "value": TOKEN}],
        }}}}),),
    ),
    # run-dir
    *(
        (expected, (pod(SERVED | env(LIFECYCLE_RUN_DIR="/run/us") | {
            "securityContext": {"readOnlyRootFilesystem": locked}, "volumeMounts": mounts,
        }),))
        for expected, locked, mounts in (
            (["error run-dir"], True, []),
            (["error run-dir"], True, [{"mountPath": "/run/us", "readOnly": True}]),
            (["error run-dir"], True, [{"mountPath": "/run/u"}]),
            ([], True, [{"mountPath": "/run/us/"}]),
            ([], True, [{"mountPath": "/run"}]),
            ([], False, []),
        )
    ),
    *(
        (expected, (pod(SERVED | env(LIFECYCLE_RUN_DIR="/run/us") | {
            "securityContext": {"readOnlyRootFilesystem": True},
            "volumeMounts": [{"mountPath": "/run/us", "name": "v"}],
        }, volumes=[{"name": "v", kind: {}}]),))
        for expected, kind in ((["error run-dir"], "configMap"), ([], "emptyDir"))
    ),
]  # fmt: skip
