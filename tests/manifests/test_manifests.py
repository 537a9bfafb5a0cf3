"""`lifecycle manifests`: what it writes adds up, and passes `lifecycle check`."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from lifecycle.checks.check import check
from lifecycle.checks.reading.documents import documents
from lifecycle.config import Config
from lifecycle.manifests.names import REGISTERED
from lifecycle.manifests.objects import objects
from lifecycle.manifests.output import as_json, as_yaml
from lifecycle.manifests.plan import doubts
from tests.manifests.making import ASGI, made, plan, pod, variables

PROFILES = ["app", "sidecar-istio", "job", "job-istio"]


COMMANDS = st.sampled_from(
    [
        ASGI,
        [*ASGI, "--service", "orders", "--bind", "0.0.0.0:9000"],
        ["lifecycle", "run", "shop:main"],
        ["/venv/bin/lifecycle", "run", "shop:main", "--service=a:1", "--service", "b:2"],
        ["python", "-m", "lifecycle", "run", "shop:main"],
        ["python3.12", "shop.py"],
        ["/venv/bin/uvicorn", "shop:app", "--port", "8080"],
        ["gunicorn", "-w", "4", "-b", "0.0.0.0:8080", "shop.wsgi"],
        ["lifecycle", "run", "--service", "orders:8080", "--", "node", "server.js"],
        ["sh", "-c", "migrate && exec lifecycle run shop:main"],
    ]
)
FLAGS = st.lists(
    st.sampled_from(
        [
            ["--service", "orders:8080"],
            ["--service", "admin:8081"],
            ["--env", "DATABASE=postgres://$(HOST)/x"],
            ["--env", "LIFECYCLE_QUIET=0"],
            ["--env", "LIFECYCLE_RUN_DIR=/var/run/us"],
            ["--prestop", "http"],
            ["--guaranteed"],
            ["--no-registry"],
            ["--container", "main"],
            ["--cpu", "1", "--memory", "1Gi"],
            ["--start-time", "900"],
        ]
    ),
    unique_by=tuple,
)
SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "LIFECYCLE_GRACE_PERIOD": st.floats(30, 900).map(str),
        "LIFECYCLE_SETTLE": st.floats(0, 20).map(str),
        "LIFECYCLE_PROBE_TIMEOUT": st.floats(0.01, 60).map(str),
        "LIFECYCLE_QOS_PORT": st.sampled_from(["22223", "1024", "tcp://10.0.0.1:80"]),
        "LIFECYCLE_SERVICES": st.sampled_from(["orders:8080", "a:80,b:81"]),
        "LIFECYCLE_PRESTOP_TOKEN": st.just("0123456789abcdef"),
        "LIFECYCLE_TCP_TARGETS": st.just("db:5432"),
    },
)


@settings(deadline=None)
@given(
    command=COMMANDS,
    flags=FLAGS,
    environ=SETTINGS,
    profile=st.sampled_from(PROFILES),
    replicas=st.integers(0, 5),
)
def test_every_combination_passes_the_check(
    command: list[str],
    flags: list[list[str]],
    environ: dict[str, str],
    profile: str,
    replicas: int,
) -> None:
    """As YAML and as JSON it has no finding, fits its own budget, and says the same twice."""
    words = [word for flag in flags for word in flag] + ["--profile", profile]
    if profile.startswith("job"):
        words = [word for word in words if word not in ("--service", "orders:8080", "admin:8081")]
        environ = {k: v for k, v in environ.items() if k != "LIFECYCLE_SERVICES"}
        command = [word for word in command if not word.startswith(("--service", "orders", "b:2"))]
        if command[0] == "gunicorn":  # several workers of what serves nobody
            command = ["python", "shop.py"]
    elif replicas:
        words += ["--replicas", str(replicas)]
    if "--service" in " ".join(command):  # it says itself what it exports
        words = [word for word in words if word not in ("--service", "orders:8080", "admin:8081")]
    elif "8080" in " ".join(command) and "orders:8080" not in words:  # a server's port is its own
        words = [word for word in words if word not in ("--service", "admin:8081")]
        environ = {k: v for k, v in environ.items() if v != "a:80,b:81"}
    wanted = plan(*words, command=command, **environ)

    text = as_yaml(objects(wanted))
    for written in (text, as_json(wanted)):
        assert check(documents(written)) == ([], {})
    assert list(yaml.safe_load_all(text)) == json.loads(as_json(wanted))["items"]

    found = {each["kind"]: each for each in objects(wanted)}
    config = Config.from_environ(variables(found))
    grace = pod(found)["terminationGracePeriodSeconds"]
    assert config.grace_period == grace >= config.settle + config.quiet + config.stop_timeout + 2
    app = pod(found)["containers"][0]
    for kind in ("startup", "liveness"):
        assert app[f"{kind}Probe"]["timeoutSeconds"] > config.probe_timeout
    assert {"name": "qos", "containerPort": config.qos_port} in app["ports"]
    assert config.run_dir in {each["mountPath"] for each in app["volumeMounts"]}


def test_restricted_pod_security() -> None:
    """The pod asks for nothing that the `restricted` profile refuses."""
    for profile in PROFILES:
        spec = pod(made("--profile", profile))
        app = spec["containers"][0]
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] > 0
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert app["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        }
        assert {tuple(each)[1] for each in spec["volumes"]} == {"emptyDir"}
        assert spec.keys() & {"hostNetwork", "hostPID", "hostIPC"} == set()
        assert not any("hostPort" in each for each in app["ports"])


def test_what_belongs_to_an_app() -> None:
    """An app that serves has all seven objects, in the order in which they are applied."""
    found = made("--service", "orders:8080", "--readiness-gate")

    assert list(found) == [
        "ServiceAccount",
        "Role",
        "RoleBinding",
        "PodDisruptionBudget",
        "Service",
        "Deployment",
    ]
    assert pod(found)["readinessGates"] == [{"conditionType": REGISTERED}]
    assert pod(found)["enableServiceLinks"] is False
    assert pod(found)["automountServiceAccountToken"] is True
    assert found["Deployment"]["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    labels = found["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert found["Service"]["spec"]["selector"] == labels
    assert found["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels


def test_a_job() -> None:
    """It has nobody to be ready for; a disruption is no failure, and its drain is as ever."""
    found = made("--profile", "job")

    assert list(found) == ["ServiceAccount", "Job"]
    app = pod(found)["containers"][0]
    assert "readinessProbe" not in app
    assert app["lifecycle"]["preStop"]["exec"]["command"] == ["lifecycle", "prestop"]
    assert pod(found)["restartPolicy"] == "Never"


def test_a_prestop_over_http_has_a_token() -> None:
    """The variable and the header agree; each time another, unless one is given."""
    tokens = set()
    for _ in range(2):
        found = made("--prestop", "http")
        token = variables(found)["LIFECYCLE_PRESTOP_TOKEN"]
        (header,) = pod(found)["containers"][0]["lifecycle"]["preStop"]["httpGet"]["httpHeaders"]
        assert header == {"name": "X-Lifecycle-Token", "value": token}
        tokens.add(token)
    assert len(tokens) == 2

    own = "0123456789abcdef"
    found = made("--prestop", "http", LIFECYCLE_PRESTOP_TOKEN=own)
    assert variables(found)["LIFECYCLE_PRESTOP_TOKEN"] == own
    assert own not in json.dumps(list(made(LIFECYCLE_PRESTOP_TOKEN=own).values()))


def test_istio_sidecars() -> None:
    """The sidecar starts before the app and leaves after it, also where it is no native one."""
    template = made("--profile", "sidecar-istio", "--guaranteed")["Deployment"]["spec"]["template"]
    told = template["metadata"]["annotations"]

    assert told["sidecar.istio.io/nativeSidecar"] == "true"
    assert yaml.safe_load(told["proxy.istio.io/config"]) == {
        "holdApplicationUntilProxyStarts": True,
        "terminationDrainDuration": "30s",
        "proxyMetadata": {
            "EXIT_ON_ZERO_ACTIVE_CONNECTIONS": "true",
            "MINIMUM_DRAIN_DURATION": "6s",
        },
    }
    assert told["sidecar.istio.io/proxyCPU"] == told["sidecar.istio.io/proxyCPULimit"]


@pytest.mark.parametrize(("settle", "drain"), [("0", "5s"), ("3", "5s"), ("9.5", "11s")])
def test_istio_drains_for_as_long_as_consumers_may_find_us(settle: str, drain: str) -> None:
    """A proxy without connections must not leave before settle and quiet are over."""
    template = made("--profile", "sidecar-istio", LIFECYCLE_SETTLE=settle)["Deployment"]["spec"]
    told = yaml.safe_load(template["template"]["metadata"]["annotations"]["proxy.istio.io/config"])

    assert told["proxyMetadata"]["MINIMUM_DRAIN_DURATION"] == drain


@pytest.mark.parametrize(
    ("profile", "told"),
    [
        ("app", {}),
        ("job", {}),
        ("sidecar-istio", {"WAIT": "true"}),
        ("job-istio", {"WAIT": "true", "QUIT": "true"}),
    ],
)
def test_what_lifecycle_istio_is_told(profile: str, told: dict[str, str]) -> None:
    """Main waits for the sidecar, a job ends it, and the app's own settings have the last word."""
    prefix = "LIFECYCLE_ISTIO_"

    def settings(found: dict[str, Any]) -> dict[str, str]:
        names = (name for name in variables(found) if name.startswith(prefix))
        return {name.removeprefix(prefix): variables(found)[name] for name in names}

    assert settings(made("--profile", profile)) == told
    own = {f"{prefix}WAIT": "false"}
    assert settings(made("--profile", profile, **own)) == {**told, "WAIT": "false"}
    assert [*doubts(plan("--profile", profile))] == []


def test_a_job_with_a_sidecar() -> None:
    """It is a job, and Istio's injection is told what a service's is."""
    found = made("--profile", "job-istio")

    assert list(found) == ["ServiceAccount", "Job"]
    annotations = found["Job"]["spec"]["template"]["metadata"]["annotations"]
    assert annotations["sidecar.istio.io/nativeSidecar"] == "true"
    assert pod(found)["restartPolicy"] == "Never"


def test_guaranteed() -> None:
    """Requests equal limits; otherwise no limit of CPU makes a probe late."""
    asked = pod(made("--guaranteed", "--cpu", "1"))["containers"][0]["resources"]
    assert asked["requests"] == asked["limits"] == {"cpu": "1", "memory": "256Mi"}
    assert pod(made())["containers"][0]["resources"]["limits"].keys() == {"memory"}


@pytest.mark.parametrize(
    ("text", "written"),
    [("$(B)", "$$(B)"), ("$$(B)", "$$$$(B)"), ("pa$$word", "pa$$$$word"), ("a$", "a$$")],
)
def test_a_dollar_stays_one(text: str, written: str) -> None:
    """
    What was typed is what arrives, in a variable and in an argument: the kubelet, which replaces
    $(NAME) and makes one dollar of two, finds each one doubled.
    """
    found = made("--env", f"A={text}", command=["python", "a.py", text])

    assert variables(found)["A"] == written
    assert pod(found)["containers"][0]["command"] == ["python", "a.py", written]


def test_a_dollar_in_a_token() -> None:
    """A header is no variable: the kubelet sends it as it stands."""
    found = made("--prestop", "http", LIFECYCLE_PRESTOP_TOKEN="0123456789$$abcdef")

    assert variables(found)["LIFECYCLE_PRESTOP_TOKEN"] == "0123456789$$$$abcdef"
    (header,) = pod(found)["containers"][0]["lifecycle"]["preStop"]["httpGet"]["httpHeaders"]
    assert header["value"] == "0123456789$$abcdef"


def test_whole_seconds() -> None:
    """The kubelet knows whole seconds only: the drain is told the same."""
    found = made(LIFECYCLE_GRACE_PERIOD="30.2")

    assert pod(found)["terminationGracePeriodSeconds"] == math.ceil(30.2)
    assert variables(found)["LIFECYCLE_GRACE_PERIOD"] == "31"


@pytest.mark.parametrize(
    ("environ", "own"),
    [
        ({"LIFECYCLE_GRACE_PERIOD": "300"}, None),
        ({"LIFECYCLE_GRACE_PERIOD": "3600"}, 60),
        ({"LIFECYCLE_GRACE_PERIOD": "3600", "LIFECYCLE_SETTLE": "90"}, 96),
    ],
)
def test_a_long_grace_period(environ: dict[str, str], own: int | None) -> None:
    """An app that hangs is not waited for as long as one that drains."""
    (deployment,) = (
        each
        for each in objects(plan("--service", "orders:8080", command=["lifecycle", "run", "a:b"], **environ))
        if each["kind"] == "Deployment"
    )  # fmt: skip
    (container,) = deployment["spec"]["template"]["spec"]["containers"]

    assert container["livenessProbe"].get("terminationGracePeriodSeconds") == own


@pytest.mark.parametrize(
    ("words", "environ", "allowed", "progress"),
    [
        ([], {}, (1, 120), None),
        (["--start-time", "30"], {}, (1, 30), None),
        (["--start-time", "480"], {}, (1, 480), None),
        (["--start-time", "481"], {}, (1, 481), 601),
        (["--start-time", "301"], {"LIFECYCLE_PROBE_TIMEOUT": "1.5"}, (2, 151), None),
        ([], {"LIFECYCLE_PROBE_TIMEOUT": "1.5"}, (2, 120), None),
    ],
)
def test_a_start_may_take_its_time(
    words: list[str], environ: dict[str, str], allowed: tuple[int, int], progress: int | None
) -> None:
    """The startup probe allows it, and the Deployment does not give a rollout up before."""
    found = made(*words, **environ)
    probe = pod(found)["containers"][0]["startupProbe"]

    assert (probe["periodSeconds"], probe["failureThreshold"]) == allowed
    assert found["Deployment"]["spec"].get("progressDeadlineSeconds") == progress


def test_a_start_of_a_job_may_take_its_time() -> None:
    """A Job has a startup probe too, and no deadline for its progress."""
    found = made("--profile", "job", "--start-time", "900", command=["lifecycle", "run", "a:main"])

    assert pod(found)["containers"][0]["startupProbe"]["failureThreshold"] == 900
    assert "progressDeadlineSeconds" not in found["Job"]["spec"]
