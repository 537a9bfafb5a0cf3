"""`status` and `inflight`: which pod is asked, and what is said if it cannot answer."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from plugins.fleet.tests.api_exec import Call, Dropped
from plugins.fleet.tests.api_server import ApiServer
from plugins.fleet.tests.app import App
from plugins.fleet.tests.objects import deployment, pod, told
from plugins.fleet.tests.running import fleet

pytestmark = pytest.mark.usefixtures("kubeconfig")

PROBED = {
    "name": "main",
    "readinessProbe": {"httpGet": {"path": "/ready", "port": 22222}},
}


@pytest.fixture
def app(api: ApiServer) -> App:
    """An app in each pod, of which there is one."""
    found = App("orders")
    api.execute = found
    api.put("pods", pod("orders-1", annotation=told()))
    return found


def test_the_text_of_the_pod_is_shown(app: App, capsys: pytest.CaptureFixture[str]) -> None:
    """It is the pod's own, and does nothing to the terminal."""
    assert fleet("status", "orders-1") == 0
    assert capsys.readouterr().out == "status of orders-1: �[31mred�[0m\n"
    assert fleet("inflight", "pod/orders-1", "--stacks", "--limit", "5") == 0
    assert app.calls == [
        ("orders-1", ["status"]),
        ("orders-1", ["inflight", "--limit", "5", "--stacks"]),
    ]


@pytest.mark.parametrize("words", [["--json"], ["-o", "json"], ["-o", "yaml"]])
@pytest.mark.parametrize(("command", "field"), [("status", "state"), ("inflight", "in_flight")])
def test_data_is_passed_on(
    app: App, capsys: pytest.CaptureFixture[str], words: list[str], command: str, field: str
) -> None:
    """The JSON of the pod, or the same as YAML, without control characters."""
    assert fleet(command, "orders-1", *words) == 0
    text = capsys.readouterr().out
    found = yaml.safe_load(text) if "yaml" in words else json.loads(text)

    assert field in found
    assert text.replace("\n", "").isprintable()


def test_of_a_workload_one_pod_is_asked(
    api: ApiServer, app: App, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is one that is ready, and the message says which one."""
    api.put("deployments", deployment("orders"))
    api.put("pods", pod("orders-0", annotation=told(), ready=False))
    api.put("pods", pod("other", workload="other", labels={"app": "orders"}))

    for name in ("deploy/orders", "deployment/orders", "deployments.apps/orders"):
        assert fleet("status", name) == 0
        assert app.calls[-1] == ("orders-1", ["status"])
    assert "lifecycle: this is pod/orders-1, one of 2 of deploy/orders" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("containers", "more", "chosen"),
    [
        ([{"name": "a"}, PROBED], {}, "main"),
        ([{"name": "a"}, {"name": "b", "ports": [{"name": "qos", "containerPort": 1}]}], {}, "b"),
        ([{"name": "a"}, {"name": "b", "ports": [{"containerPort": 22222}]}], {"told": 1}, "b"),
        ([{"name": "a"}, {"name": "b", "command": ["lifecycle", "run", "x:y"]}], {}, "b"),
        ([{"name": "a"}, {"name": "b"}], {"default": "b"}, "b"),
        ([{"name": "a"}, {"name": "b"}], {"default": "gone"}, "a"),
        ([{"name": "a"}, {"name": "b"}], {}, "a"),
        ([{"name": "a"}, PROBED], {"words": ["-c", "a"]}, "a"),
    ],
)
def test_the_container_of_the_app_is_found(
    api: ApiServer, app: App, containers: list[dict[str, Any]], more: dict[str, Any], chosen: str
) -> None:
    """It is the one with the probes, else the one that kubectl takes, else the first."""
    thing = pod("orders-1", annotation=told() if "told" in more else None)
    thing["spec"]["containers"] = containers
    thing["status"]["containerStatuses"] = [
        {"name": each["name"], "state": {"running": {}}} for each in containers
    ]
    if "default" in more:
        default = {"kubectl.kubernetes.io/default-container": more["default"]}
        thing["metadata"]["annotations"] |= default
    api.put("pods", thing)

    assert fleet("status", "orders-1", *more.get("words", ())) == 0
    assert api.asked[-1].query["container"] == chosen


@pytest.mark.parametrize(
    ("container", "program"),
    [
        ({"lifecycle": {"preStop": {"exec": {"command": ["/venv/bin/lifecycle", "prestop"]}}}}, 1),
        ({"command": ["/venv/bin/lifecycle", "run", "shop:main"]}, 1),
        ({"command": ["tini", "--"], "args": ["/venv/bin/lifecycle", "run", "shop:main"]}, 1),
        ({"command": ["/init"], "args": ["/venv/bin/lifecycle", "run", "shop:main"]}, 0),
    ],
)
def test_the_command_has_the_path_of_the_manifest(
    api: ApiServer, app: App, container: dict[str, Any], program: int
) -> None:
    """A virtual environment that is not on the PATH is found by the preStop hook or the command."""
    app.program = "/venv/bin/lifecycle" if program else "lifecycle"
    api.put("pods", pod("orders-1", container=container))

    assert fleet("status", "orders-1") == 0


def test_a_module_of_python(api: ApiServer) -> None:
    """`python -m lifecycle` is called in the same way."""
    called = []

    def execute(call: Call) -> int:
        called.append(call.words)
        return 0

    api.execute = execute
    api.put("pods", pod("one", container={"command": ["python3", "-m", "lifecycle", "run", "a:b"]}))

    assert fleet("status", "one") == 0
    assert called == [["python3", "-m", "lifecycle", "status"]]


def fails_with(code: int, text: str = "", out: str = "") -> Any:
    def execute(call: Call) -> int:
        call.err(text)
        call.out(out)
        return code

    return execute


def deep(levels: int) -> str:
    """Return JSON of that many levels, with what a status needs."""
    inner = "[" * levels + "]" * levels
    return f'{{"state": 1, "since": 1, "services": [], "probes": {inner}}}'


CRASH = {"waiting": {"reason": "CrashLoopBackOff"}}
TOO_OLD = "lifecycle: error: argument COMMAND: invalid choice: 'inflight' (choose from 'run')"


@pytest.mark.parametrize(
    ("words", "setting", "problem", "page"),
    [
        (
            ["ordres-1"],
            {},
            "there is no pod/ordres-1 in the namespace shop. Did you mean pod/orde",
            1,
        ),
        (["zzz"], {}, "there is no pod/zzz in the namespace shop. To use another namespace", 1),
        (["deploy/x"], {}, "there is no deploy/x in the namespace shop. To use", 1),
        (["svc/x"], {}, "'svc' is not a kind with pods. Use a pod, or deploy/NAME, sts/NAME", 1),
        (["pod/../../x"], {}, "'pod/../..' is not a kind with pods", 1),
        (["Orders_1"], {}, "'Orders_1' is not the name of a pod, or KIND/NAME", 1),
        (["orders-1", "-n", "../x"], {}, "'../x' is not the name of a namespace", 1),
        (
            ["orders-1", "-c", "apq"],
            {},
            "pod/orders-1 has no container 'apq'. Did you mean app?",
            2,
        ),
        (
            ["orders-1"],
            {"pod": {"state": CRASH}},
            "the container app of pod/orders-1 does not run (CrashLoopBackOff). To see why, run: "
            "lifecycle fleet why orders-1",
            2,
        ),
        (
            ["orders-1"],
            {"code": 403},
            "you may not run commands in pods of the namespace shop. ",
            2,
        ),
        (
            ["orders-1"],
            {"code": 403},
            "needs the verbs get and create for pods/exec. API server",
            2,
        ),
        (
            ["orders-1"],
            {"program": "other"},
            "the container app of pod/orders-1 has no command 'lifecycle'. Install",
            2,
        ),
        (["orders-1"], {"execute": fails_with(127)}, "has no command 'lifecycle'. Install", 2),
        (
            ["orders-1"],
            {"execute": fails_with(2, TOO_OLD)},
            "(0.1.9) is too old for this command",
            2,
        ),
        (
            ["orders-1", "--json"],
            {"execute": fails_with(0, out="hello\x1b")},
            "'hello�', which is",
            2,
        ),
        (["orders-1", "--json"], {"execute": fails_with(0, out="[]")}, "is not its JSON. Check", 2),
        (["orders-1", "--json"], {"execute": fails_with(0, out="{}")}, "is not its JSON. Check", 2),
        *(
            (
                ["orders-1", *words],
                {"execute": fails_with(0, out=deep(levels))},
                "is not its JSON",
                2,
            )
            for levels in (100_000, 300)
            for words in (["--json"], ["-o", "yaml"])
        ),
        (["orders-1", "--json"], {"execute": fails_with(0)}, "'nothing', which is not its JSON", 2),
        (
            ["orders-1", "--json"],
            {"execute": fails_with(2, "lifecycle: no app answers\nSee x")},
            "has failed with exit code 2: no app answers",
            2,
        ),
        (
            ["orders-1"],
            {"hangs": "status"},
            "in pod/orders-1 has not ended after 0.5 s. The pod",
            2,
        ),
    ],
)
def test_what_goes_wrong_is_said(
    api: ApiServer,
    app: App,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    setting: dict[str, Any],
    problem: str,
    page: int,
) -> None:
    """Each message says what happened, where, and what to do, and names its page."""
    monkeypatch.setattr(
        "lifecycle_fleet.commands.status.TIMEOUT", 0.5 if "hangs" in setting else 20
    )
    api.put("pods", pod("orders-1", annotation=told(version="0.1.9"), **setting.get("pod", {})))
    api.forced["exec"] = setting.get("code", 0)
    api.execute = setting.get("execute", app)
    app.program = setting.get("program", "lifecycle")
    app.hangs = {setting.get("hangs", "")}

    assert fleet("status", *words) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert problem in shown.err
    assert shown.err.startswith("lifecycle: ")
    assert f"errors.md#{['fleet-pod', 'fleet-pod', 'fleet-in-a-pod'][page]}" in shown.err


def test_a_failure_in_the_pod_is_passed_on(
    api: ApiServer, app: App, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without --json, what the command says and its exit code are those of the pod."""
    api.execute = fails_with(2, "lifecycle: no app answers\nSee https://x\n")

    assert fleet("status", "orders-1") == 2
    assert capsys.readouterr().err == "lifecycle: no app answers\nSee https://x\n"


def test_a_connection_that_is_lost(
    api: ApiServer, app: App, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is an error of the API server."""

    def execute(_: Call) -> int:
        raise Dropped

    api.execute = execute

    assert fleet("status", "orders-1") == 1
    assert "API server: connection lost" in capsys.readouterr().err


def test_a_workload_without_pods(
    api: ApiServer, app: App, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is named."""
    api.put("deployments", deployment("none"))

    assert fleet("status", "deploy/none") == 1
    assert "deploy/none has no pods in the namespace shop" in capsys.readouterr().err
