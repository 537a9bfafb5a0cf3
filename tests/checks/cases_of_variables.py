"""Cases of the rules about environment variables."""

from __future__ import annotations

from typing import Any

from tests.checks.kit import PRESTOP, SERVED, SH, WEB, env, get, http, pod, probe, sleep

FROM_SECRET = {"valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}
FROM_MAP = {"envFrom": [{"configMapRef": {"name": "c"}}]}
UNKNOWN = ["error unknown-variable"]
LEFT = ["error variable-reference"]
MAYBE = ["warning variable-reference"]
BRACKETS = {"command": ["app", "--name=$(NAME)"]}


def _env(*pairs: tuple[str, str], **more: Any) -> tuple[dict[str, Any], ...]:
    return (pod(WEB | {"env": [{"name": name, "value": value} for name, value in pairs]} | more),)


VARIABLES: list[tuple[list[str], tuple[dict[str, Any], ...]]] = [
    # unknown-variable
    *(
        (UNKNOWN, (pod(SERVED | env(**{name: "1"})),))
        for name in (
            "LIFECYCLE_GRACE_PERIODS",
            "LIFECYCLE_GARCE_PERIOD",
            "LIFECYCLE_GRACEPERIOD",
            "LIFECYCLE_GRACE_PERIOD_SECONDS",
            "LIFECYCLE_SETLE",
            "LIFECYCLE_SETTLE_TIME",
            "LIFECYCLE_QUIET_PERIOD",
            "LIFECYCLE_GRACE",
            "LIFECYCLE_TERMINATION_GRACE_PERIOD",
            "LIFECYCLE_DRAIN_TIMEOUT",
            "LIFECYCLE_PORT",
            "LIFECYCLE_SETTLE_SECONDS",
            "LIFECYCLE_QOS_PROT",
            "LIFECYCLE_QSO_PORT",
            "LIFECYCLE_SERVICE",
            "LIFECYCLE_PLUGIN",
            "LIFECYCLE_STOPTIMEOUT",
            "LIFECYCLE_PROBE_TIMEOUTS",
            "LIFECYLE_SETTLE",
            "LIFECYCLES_SETTLE",
            "LIFE_CYCLE_GRACE_PERIOD",
            "lifecycle_settle",
            "Lifecycle_Quiet",
        )
    ),
    (UNKNOWN, (pod(SERVED | {"env": [{"name": "LIFECYCLE_SETLE"} | FROM_SECRET]}),)),
    *(
        ([], (pod(SERVED | env(**{name: value})),))
        for name, value in (
            ("LIFECYCLE_SETTLE", "4"),
            ("LIFECYCLE_ENV", "prod"),
            ("LIFECYCLE_STAGE", "prod"),
            ("LIFECYCLE_TCP_TARGETS", "db:5432"),
            ("LIFECYCLE_PORT", "tcp://10.0.0.1:80"),
            ("LIFECYCLE_HTTP_PORT", "80"),
            ("LIFECYCLE_HTTP_GRACE_PERIOD", "3"),
            ("GRACE", "3"),
            ("LIFECYCLE_KUBERNETES_NAMESPACE", "shop"),
            ("LIFECYCLE_DNS_PORT", "53"),
            ("LIFECYCLE_DNS_HOST", "8.8.8.8"),
            ("LIFECYCLE_DNS_ENABLED", "true"),
            ("LIFECYCLE_HTTP_TIMEOUT", "1"),
            ("LIFECYCLE_QOS_PORT_22222_TCP", "tcp://10.0.0.1:22222"),
            ("SETTLE", "4"),
            ("GRACE_PERIOD", "4"),
            ("APP_LIFECYCLE_SETTLE", "4"),
        )
    ),
    ([], (pod(WEB | env(LIFECYCLE_SETLE="4")),)),
    # variable-reference: env
    (LEFT, _env(("URL", "http://$(HOST):80"), ("HOST", "db"))),
    (LEFT, _env(("PATH", "/app/bin:$(PATH)"))),
    (MAYBE, _env(("URL", "http://$(HOST)"))),
    (MAYBE, _env(("URL", "http://$(HOST)"), ("HOST", "db"), **FROM_MAP)),
    *(
        ([], made)
        for made in (
            _env(("HOST", "db"), ("URL", "http://$(HOST):80")),
            _env(("URL", "http://$(HOST)"), **FROM_MAP),
            _env(("URL", "$$(HOST)"), ("HOST", "db")),
            _env(("URL", "$(hostname)")),
            _env(("URL", "$(HOST")),
            _env(("URL", "$(params.host) $()")),
            _env(("URL", "http://$(KUBERNETES_SERVICE_HOST):$(KUBERNETES_SERVICE_PORT_HTTPS)")),
            _env(("URL", "$(REDIS_PORT_6379_TCP_ADDR) $(REDIS_PORT)")),
            _env(("HOST", "a"), ("URL", "$(HOST)"), ("HOST", "b")),
            _env(("PATH", "/bin"), ("PATH", "/app/bin:$(PATH)")),
        )
    ),
    (
        [],
        (pod(WEB | {"env": [{"name": "IP"} | FROM_SECRET, {"name": "URL", "value": "$(IP)"}]}),),
    ),
    # variable-reference: command and args
    (MAYBE, (pod(WEB | BRACKETS),)),
    (MAYBE, (pod(WEB | {"args": ["--name", "$(NAME)"]}),)),
    (MAYBE, (pod(WEB | {"command": [*SH, "exec app $(HOSTNAME)"]}),)),
    *(
        ([], (pod(WEB | made),))
        for made in (
            BRACKETS | env(NAME="a"),
            BRACKETS | {"env": [{"name": "NAME"} | FROM_SECRET]},
            BRACKETS | FROM_MAP,
            {"command": ["app", "--name=$$(NAME)"]},
            {"command": [*SH, "exec app $(hostname) $(cat /x)"]},
            {"command": [*SH, "NAME() { echo 1; }; exec app $(NAME)"]},
            {"args": ["--tag=$(Build.BuildId)"]},
            {"args": ["--host=$(REDIS_SERVICE_HOST)"]},
        )
    ),
    # variable-reference: hooks and probes
    (LEFT, (pod(WEB | env(PORT="1") | sleep("curl", "localhost:$(PORT)/quit")),)),
    (LEFT, (pod(WEB | env(PORT="1") | sleep(*SH, "curl localhost:$(PORT)/quit")),)),
    (
        ["error prestop-token", *LEFT],
        (pod(SERVED | http("$(LIFECYCLE_PRESTOP_TOKEN)") | env(LIFECYCLE_PRESTOP_TOKEN="x" * 16)),),
    ),
    (
        LEFT,
        (pod(SERVED | http("$(LIFECYCLE_PRESTOP_TOKEN)") | {
            "env": [{"name": "LIFECYCLE_PRESTOP_TOKEN"} | FROM_SECRET]
        }),),
    ),
    (LEFT, (pod(WEB | env(ID="1") | probe("readiness", get("/ready/$(ID)"))),)),
    (
        LEFT,
        (pod(WEB | {"env": [{"name": "ID"} | FROM_SECRET]} | probe(
            "readiness", {"exec": {"command": ["app", "check", "$(ID)"]}}
        )),),
    ),
    (
        [],
        (pod(WEB | env(ID="1") | probe("readiness", {"exec": {"command": ["check", "$(ID)"]}})),),
    ),
    ([], (pod(WEB | env(PORT="1") | sleep(*SH, "curl localhost:$PORT/quit")),)),
    ([], (pod(WEB | env(PORT="1") | sleep(*SH, "kill $(cat /run/pid)")),)),
    ([], (pod(SERVED | PRESTOP | env(PORT="1")),)),
]  # fmt: skip
