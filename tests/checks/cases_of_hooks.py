"""What preStop hooks do, and where their programs are: what the rules find, and leave alone."""

from __future__ import annotations

from typing import Any

from tests.checks.kit import MANAGED, QOS, RUN, SH, TOKEN, WEB, env, http, pod, probe, sleep

REFUSED = "error prestop-token"
EARLY = "error prestop-drain"
PATH = "warning hook-path"
SECRET = env(LIFECYCLE_PRESTOP_TOKEN=TOKEN)
HEADER = f"X-Lifecycle-Token: {TOKEN}"
VENV = "/app/.venv/bin"


def by_http(**more: Any) -> dict[str, Any]:
    """Make a preStop that asks /prestop with the token, in some other way."""
    hook = http(TOKEN)["lifecycle"]["preStop"]["httpGet"]
    return {"lifecycle": {"preStop": {"httpGet": hook | more}}}


HOOKS: list[tuple[list[str], tuple[dict[str, Any], ...]]] = [
    # prestop-token: curl and the like
    *(
        (expected, (pod(RUN | QOS | SECRET | sleep(*command)),))
        for expected, command in (
            ([REFUSED], ["curl", "localhost:22222/prestop"]),
            ([REFUSED], ["curl", "-X", "POST", "-H", "X-Lifecycle: 1", "localhost:22222/prestop"]),
            ([REFUSED], ["wget", "-qO-", "--post-data=", "http://127.0.0.1:22222/prestop"]),
            ([REFUSED], [*SH, "curl -s localhost:22222/prestop || true"]),
            ([REFUSED], ["python", "-c", "import urllib.request as u; u.urlopen('http://[::1]:22222/prestop')"]),
            ([REFUSED], ["curl", "-H", "X-Lifecycle-Token: another-one-of-16", "localhost:22222/prestop"]),
            ([REFUSED], ["curl", "-H", HEADER, "localhost:8080/prestop"]),
            ([REFUSED], ["curl", "-H", HEADER, "localhost/prestop"]),
            ([REFUSED], ["curl", "-kH", HEADER, "https://localhost:22222/prestop"]),
            ([REFUSED], ["curl", "-H", HEADER, "http://orders:22222/prestop"]),
            ([REFUSED], ["curl", "-X", "PUT", "-H", HEADER, "localhost:22222/prestop"]),
            ([REFUSED], ["curl", "-I", "-H", HEADER, "localhost:22222/prestop"]),
            ([REFUSED], ["curl", "-H", HEADER, "localhost:22222/shutdown"]),
            ([REFUSED], ["curl", "localhost:22222/offline"]),
            ([REFUSED], ["curl", "--unix-socket", "/run/lifecycle-22222.sock", "http://x/prestop"]),
            ([REFUSED], ["lifecycle", "prestop", "--port", "22223"]),
            ([REFUSED], ["curl", "-H", "X-Lifecycle-Token: $LIFECYCLE_PRESTOP_TOKEN", "localhost:22222/prestop"]),
            ([REFUSED], ["env", "wget", "--header=X-Lifecycle-Token: ${LIFECYCLE_PRESTOP_TOKEN}", "-qO-", "localhost:22222/prestop"]),
            ([REFUSED], [*SH, "curl -X \"POST\" -H 'X-Lifecycle-Token: $LIFECYCLE_PRESTOP_TOKEN' localhost:22222/prestop"]),
            ([], [*SH, "curl -H X-Lifecycle-Token:$LIFECYCLE_PRESTOP_TOKEN localhost:22222/prestop"]),
            ([], [*SH, "curl -H 'X-Lifecycle-Token: '$LIFECYCLE_PRESTOP_TOKEN localhost:22222/prestop"]),
            ([], ["curl", "-H", HEADER, "localhost:22222/prestop"]),
            ([], ["curl", "-sXPOST", "-H", HEADER, "http://127.0.0.1:22222/prestop"]),
            ([], [*SH, 'curl -H "X-Lifecycle-Token: $LIFECYCLE_PRESTOP_TOKEN" localhost:22222/prestop']),
            ([], ["wget", "-qO-", "--header", HEADER, "http://localhost:22222/prestop"]),
            ([], ["curl", "-X", "POST", "--unix-socket", "/run/lifecycle-22222.sock", "http://x/prestop"]),
            ([], ["curl", "-X", "POST", "-H", "X-Lifecycle: 1", "localhost:22222/offline"]),
            ([], ["curl", "-X", "POST", "localhost:8080/drain"]),
            ([], ["lifecycle", "prestop", "--port=22222"]),
            ([], [*SH, "lifecycle prestop || true"]),
        )
    ),
    ([REFUSED], (pod(RUN | QOS | sleep("curl", "-H", HEADER, "localhost:22222/prestop")),)),
    ([], (pod({**RUN, **sleep("curl", "localhost:22222/prestop"), "env": [
        {"name": "LIFECYCLE_QOS_PORT", "valueFrom": {}}, {"name": "LIFECYCLE_PLUGINS", "value": "a"},
        {"name": "LIFECYCLE_PRESTOP_TOKEN", "value": TOKEN},
    ]} | sleep("curl", "-H", HEADER, "localhost:9000/prestop")),)),
    ([], (pod(RUN | env(LIFECYCLE_PLUGINS="ours") | sleep("curl", "localhost:22222/flush")),)),
    # prestop-token: httpGet
    *(
        (expected, (pod(RUN | SECRET | by_http(**more)),))
        for expected, more in (
            ([], {"scheme": "HTTP"}),
            (["warning prestop-token"], {"scheme": "HTTPS"}),
            (["warning prestop-token", REFUSED], {"scheme": "HTTPS", "httpHeaders": []}),
            ([REFUSED], {"host": "orders.shop.svc"}),
            ([REFUSED], {"host": "127.0.0.1"}),
            ([REFUSED], {"port": "http"}),
            ([REFUSED], {"path": "/shutdown"}),
            ([], {"path": "/shutdown", "port": 8080}),
        )
    ),
    ([REFUSED], (pod(RUN | SECRET | by_http(port="admin"),
      {"ports": [{"name": "admin", "containerPort": 9901}]}),)),
    ([REFUSED], (pod(RUN | SECRET | by_http(port=9901),
      {"ports": [{"name": "admin", "containerPort": 9901}]}),)),
    ([REFUSED], (pod(RUN | by_http() | env(
        LIFECYCLE_PRESTOP_TOKEN=TOKEN, LIFECYCLE_QOS_HOST="127.0.0.1")),)),
    ([REFUSED], (pod(RUN | env(LIFECYCLE_QOS_ENABLED="false") | sleep("lifecycle", "prestop")),)),
    (["warning qos-port-clash"], (pod(RUN | SECRET | by_http(host="127.0.0.1"), hostNetwork=True),)),
    # Under another server, and of what is no lifecycle
    ([REFUSED], (pod({"command": ["uvicorn", "a:b"]} | sleep("curl", "localhost:22222/prestop")),)),
    ([], (pod(MANAGED | SECRET | sleep("curl", "-H", HEADER, "localhost:22222/prestop")),)),
    ([], (pod({"command": ["uvicorn", "a:b"]} | sleep("curl", "localhost:8000/prestop")),)),
    ([], (pod(WEB | sleep("curl", "localhost:22222/offline")),)),
    # prestop-drain
    *(
        (expected, (pod(made | sleep(*command)),))
        for expected, made, command in (
            ([EARLY], RUN, [*SH, "lifecycle prestop &"]),
            ([EARLY], RUN, [*SH, "nohup lifecycle prestop >/dev/null 2>&1 & exit 0"]),
            ([EARLY], MANAGED, [*SH, "(lifecycle prestop; echo done) & sleep 0.1"]),
            ([EARLY], RUN, [*SH, "{ python -m lifecycle prestop; } &"]),
            ([], RUN, [*SH, "lifecycle prestop & wait"]),
            ([], RUN, [*SH, "nohup lifecycle prestop"]),
            ([], RUN, [*SH, "report & lifecycle prestop"]),
            ([], RUN, [*SH, "lifecycle prestop 2>&1 | tee /proc/1/fd/1"]),
            ([EARLY], MANAGED, ["timeout", "1", "lifecycle", "prestop"]),
            (["warning prestop-drain"], RUN, ["timeout", "1", "lifecycle", "prestop"]),
            (["warning prestop-drain"], RUN, ["timeout", "-k", "9", "1", *SH, "lifecycle prestop"]),
            ([], MANAGED, ["timeout", "25", "lifecycle", "prestop"]),
            ([], RUN, ["timeout", "$LIMIT", "lifecycle", "prestop"]),
            ([EARLY], MANAGED, ["setsid", "-f", "lifecycle", "prestop"]),
            ([EARLY], RUN, [*SH, "setsid --fork lifecycle prestop"]),
            ([], RUN, ["setsid", "-w", "lifecycle", "prestop"]),
            ([EARLY], RUN, [*SH, "kill $(pgrep -f lifecycle)"]),
            ([EARLY], RUN, [*SH, "kill -TERM `pidof lifecycle`"]),
            ([], RUN, [*SH, "kill $(pidof exporter)"]),
            ([EARLY], RUN, ["lifecycle", "drain"]),
            ([EARLY], RUN, ["lifecycle", "pre-stop"]),
            ([], RUN, ["lifecycle", "offline"]),
            ([EARLY], RUN, ["kill", "-TERM", "1"]),
            ([EARLY], RUN, [*SH, "echo bye; kill -15 1"]),
            ([EARLY], RUN, ["pkill", "-f", "lifecycle run"]),
            ([], RUN, [*SH, "kill -TERM 1; while kill -0 1; do sleep 1; done"]),
            ([], RUN, [*SH, "kill -USR1 1"]),
            ([], RUN, [*SH, "kill $(cat /run/other.pid)"]),
            ([], WEB, ["kill", "-TERM", "1"]),
            ([], WEB, [*SH, "flush &"]),
        )
    ),
    # A shell's options before and after -c
    *(
        (expected, (pod(made | sleep(*shell, script)),))
        for shell in (
            ["/bin/sh", "-c", "-e"],
            ["bash", "-c", "--"],
            ["sh", "-ce"],
            ["bash", "-c", "-euo", "pipefail"],
            ["bash", "-euo", "pipefail", "-c"],
            ["bash", "+x", "--norc", "-c", "-"],
        )
        for expected, made, script in (
            ([EARLY], RUN, "lifecycle prestop &"),
            ([], MANAGED, "exec lifecycle prestop"),
        )
    ),
    # managed-prestop: hooks that this check cannot read
    *(
        (expected, (pod(MANAGED | sleep(*command)),))
        for expected, command in (
            *(
                (["warning managed-prestop"], command)
                for command in (
                    ["/app/prestop.sh"],
                    ["sh", "/app/prestop.sh"],
                    [*SH, ". /app/lib.sh; drain"],
                    ["python", "/app/prestop.py"],
                    [*SH, "L=/app/.venv/bin/lifecycle; $L prestop"],
                    [*SH, "$(which lifecycle) prestop"],
                    [*SH, 'wget -qO- "$URL"'],
                    [*SH, "curl -X POST $URL"],
                    [*SH, "lifecycle $MODE"],
                    [*SH, "echo 'no end"],
                )
            ),
            *(
                (["error managed-prestop"], command)
                for command in (
                    [*SH, "touch /tmp/ending && sleep 15"],
                    ["curl", "localhost:8000/goodbye"],
                    ["lifecycle", "status"],
                )
            ),
            (["error managed-prestop", "error prestop-sleep"], [*SH, "echo bye; sleep 15"]),
            (["error managed-prestop", "error prestop-sleep"],
             ["python", "-c", "import time; time.sleep(15)"]),
        )
    ),
    ([], (pod(RUN | sleep(*SH, "lifecycle $MODE")),)),
    ([EARLY], (pod(MANAGED | SECRET | sleep("curl", "-m", "2", "-H", HEADER, "localhost:22222/prestop")),)),
    (["warning prestop-drain"], (pod(RUN | {"lifecycle": {"preStop": {"tcpSocket": {"port": 22222}}}}),)),
    (["error managed-prestop"], (pod(MANAGED | {"lifecycle": {"preStop": {"tcpSocket": {"port": 1}}}}),)),
    # hook-path
    *(
        (expected, (pod({"command": command} | QOS | sleep(*hook) | more),))
        for expected, command, hook, more in (
            ([PATH], [f"{VENV}/lifecycle", "run", "a:b"], ["lifecycle", "prestop"], {}),
            ([PATH], [f"{VENV}/uvicorn", "a:b"], [*SH, "lifecycle prestop || true"], {}),
            ([PATH], [f"{VENV}/python", "-m", "lifecycle", "run", "a"], ["python", "-m", "lifecycle", "prestop"], {}),
            ([PATH], [f"{VENV}/lifecycle", "run", "a"], ["/usr/bin/python3", "-m", "lifecycle", "prestop"], {}),
            ([PATH], ["python3.12", "-m", "lifecycle", "run", "a"], ["python3.11", "-m", "lifecycle", "prestop"], {}),
            ([PATH], ["tini", "--", "/venv/bin/lifecycle", "run", "a"], ["lifecycle", "prestop"], {}),
            ([PATH], [".venv/bin/lifecycle", "run", "a"], ["lifecycle", "prestop"], {}),
            ([PATH], [*SH, ". /app/.venv/bin/activate && exec lifecycle run a"], ["lifecycle", "prestop"], {}),
            ([PATH], [*SH, "export PATH=/app/bin:$PATH; exec lifecycle run a"], ["lifecycle", "prestop"], {}),
            ([PATH], ["uv", "run", "lifecycle", "run", "a"], ["lifecycle", "prestop"], {}),
            ([PATH], ["rye", "run", "lifecycle", "run", "a"], ["lifecycle", "prestop"], {}),
            ([], ["rye", "run", "lifecycle", "run", "a"], ["rye", "run", "lifecycle", "prestop"], {}),
            ([PATH], [f"{VENV}/lifecycle", "run", "a"], [f"{VENV}/lifecycle", "prestop"],
             probe("readiness", {"exec": {"command": ["lifecycle", "probe", "ready"]}})),
            ([PATH], [f"{VENV}/lifecycle", "run", "a"], ["lifecycle", "prestop"], env(PATH="/usr/bin")),
            ([], [f"{VENV}/lifecycle", "run", "a"], ["lifecycle", "prestop"], env(PATH=f"/bin:{VENV}")),
            ([], [f"{VENV}/lifecycle", "run", "a"], ["lifecycle", "prestop"], {"env": [{"name": "PATH", "valueFrom": {}}]}),
            ([], [f"{VENV}/lifecycle", "run", "a"], [f"{VENV}/lifecycle", "prestop"], {}),
            ([], [f"{VENV}/uvicorn", "a:b"], [f"{VENV}/python", "-m", "lifecycle", "prestop"], {}),
            ([], ["lifecycle", "run", "a:b"], [f"{VENV}/lifecycle", "prestop"], {}),
            ([], ["/usr/local/bin/lifecycle", "run", "a:b"], ["lifecycle", "prestop"], {}),
            ([], ["python", "-m", "lifecycle", "run", "a"], ["python3", "-m", "lifecycle", "prestop"], {}),
            ([], [".venv/bin/lifecycle", "run", "a"], [f"{VENV}/lifecycle", "prestop"], {}),
            ([], [f"{VENV}/lifecycle", "run", "a"], [*SH, ". .venv/bin/activate; lifecycle prestop"], {}),
            ([], ["uv", "run", "lifecycle", "run", "a"], ["uv", "run", "lifecycle", "prestop"], {}),
            ([], [f"{VENV}/lifecycle", "run", "a"], ["bash", "-lc", "lifecycle prestop"], {}),
            ([], ["bash", "-lc", "exec lifecycle run a"], ["lifecycle", "prestop"], {}),
            ([], ["/entrypoint.sh"], ["lifecycle", "prestop"], {}),
        )
    ),
]  # fmt: skip
