"""`lifecycle fleet why`, from the arguments to the output, with an API server on a socket."""

from __future__ import annotations

import json
import re
from typing import Any, Final

import pytest
import yaml

from plugins.fleet.tests.api_exec import Call, NotStarted
from plugins.fleet.tests.api_server import ApiServer
from plugins.fleet.tests.why_cases import NO_GATE, UNREADY, wrong_readiness
from plugins.fleet.tests.why_objects import (
    NAME,
    PROC,
    TOLD,
    Object,
    crashed,
    exported,
    foreign,
    leaving,
    node,
    piece,
    pod,
    refused,
    service,
    status,
    unhealthy,
)
from plugins.fleet.tests.why_shop import answering, shop

ESCAPE: Final = re.compile(r"\x1b\[[0-9;]*m")


def test_a_pod_with_a_wrong_port(api: ApiServer, why: Any) -> None:
    """The sentence, the evidence, the fix and the page, in 80 columns, with exit code 1."""
    shop(api, wrong_readiness(), unhealthy("Readiness", refused(8081)))
    api.execute = answering(status())

    code, out, err = why(NAME)

    assert (code, err) == (1, "")
    assert out.splitlines()[:5] == [
        f"pod/{NAME} is not ready.",
        "",
        "1. The readinessProbe of container orders uses port 8081, but pod-lifecycle",
        "   answers probes on port 22222.",
        "   seen  event Unhealthy 3 times, last 4 s ago: Readiness probe failed: Get",
    ]
    assert "   fix   In the manifest, set readinessProbe.httpGet.port: 22222\n" in out
    assert out.rstrip().endswith("/docs/why.md#probe-port")


def test_a_healthy_pod(api: ApiServer, why: Any) -> None:
    """One line, and exit code 0."""
    shop(api, pod(told=TOLD), slices=(piece(),))
    api.execute = answering(status())

    assert why(NAME) == (0, f"pod/{NAME} is ready, and clients find it.\n", "")


def test_a_foreign_pod_is_not_asked_by_lifecycle(api: ApiServer, why: Any) -> None:
    """Only the tables of the kernel are read in a container that does not run pod-lifecycle."""
    api.put("pods", foreign())
    api.put("nodes", node())
    commands: list[list[str]] = []

    def run(call: Call) -> int:
        commands.append(call.words)
        call.out(PROC)
        return 0

    api.execute = run

    code, out, _ = why(f"pod/{NAME}")

    assert (code, out) == (0, f"pod/{NAME} is ready. No Service has it as an endpoint.\n")
    assert commands == [["cat", "/proc/net/tcp", "/proc/net/tcp6"]]


def test_an_image_without_cat_is_asked_by_its_python(api: ApiServer, why: Any) -> None:
    """The open ports are known all the same, and a shell is not needed."""
    shop(api, pod(told=TOLD), slices=(piece(),))
    api.put("services", service(target=8088))
    commands: list[str] = []
    others = answering(status())

    def run(call: Call) -> int:
        commands.append(call.words[0])
        if call.words[0] == "cat":
            raise NotStarted('exec: "cat": executable file not found in $PATH')
        if call.words[0] == "python3":
            call.out(PROC)
            return 0
        return others(call)

    api.execute = run

    code, out, _ = why(NAME)

    assert code == 1
    assert "port 8088, but nothing in the pod listens on this port" in " ".join(out.split())
    assert commands.count("python3") == 1


def test_no_exec_runs_nothing_in_the_pod(api: ApiServer, why: Any) -> None:
    """With `--no-exec` no command is run, and the finding is made from the objects."""
    shop(api, wrong_readiness(), unhealthy("Readiness", refused(8081)))

    code, out, _ = why(NAME, "--no-exec")

    assert code == 1
    assert "pod-lifecycle answers probes on port 22222" in " ".join(out.split())
    assert not [each for each in api.asked if each.verb == "exec"]


def test_missing_rights_are_said_once_and_the_rest_goes_on(api: ApiServer, why: Any) -> None:
    """Each has the rule to ask for, and the finding is still made."""
    shop(api, wrong_readiness(), unhealthy("Readiness", refused(8081)))
    api.forced = {
        "list services": 403,
        "list endpointslices": 403,
        "list poddisruptionbudgets": 403,
        "get nodes": 403,
        "exec": 403,
    }

    code, out, err = why(NAME)

    words = " ".join(out.split())
    assert (code, err) == (1, "")
    assert "pod-lifecycle answers probes on port 22222" in words
    assert words.count("You may not read") == 5
    assert 'in a Role: apiGroups: [""], resources: [services], verbs: [list]' in words
    assert 'in a ClusterRole: apiGroups: [""], resources: [nodes], verbs: [get]' in words
    assert 'in a Role: apiGroups: [""], resources: [pods/exec], verbs: [get, create]' in words


def test_events_that_may_not_be_read(api: ApiServer, why: Any) -> None:
    """Without events, the finding comes from what the pod answers."""
    shop(api, wrong_readiness(), unhealthy("Readiness", refused(8081)))
    api.execute = answering(status())
    api.forced = {"list events": 403}

    code, out, _ = why(NAME, "-o", "json")

    found = json.loads(out)
    assert code == 1
    assert [each["rule"] for each in found["findings"]] == ["probe-port"]
    assert found["caveats"][0]["sentence"].startswith("You may not read events")


def test_json_and_yaml_have_everything(api: ApiServer, why: Any) -> None:
    """Both forms are the same object, with ranks and pages."""
    shop(api, wrong_readiness(), unhealthy("Readiness", refused(8081)))
    api.execute = answering(status())

    _, as_json, _ = why(NAME, "-o", "json")
    _, as_yaml, _ = why(NAME, "-o", "yaml")

    found = json.loads(as_json)
    assert found == yaml.safe_load(as_yaml)
    assert (found["target"], found["state"], found["wrong"]) == (f"pod/{NAME}", "not ready", True)
    (finding,) = found["findings"]
    assert finding["evidence"][1] == "spec.containers[0].readinessProbe.httpGet.port: 8081"
    assert finding["see"].endswith("/docs/why.md#probe-port")


def test_the_log_of_the_previous_run_is_evidence(api: ApiServer, why: Any) -> None:
    """A crash loop shows the last lines of the container that has crashed."""
    shop(api, pod(crashed(1), ready=False))
    api.logs["shop", NAME, "orders", "previous"] = "one\ntwo\nKeyError: 'DATABASE_URL'\n"

    code, out, _ = why(NAME)

    assert code == 1
    assert "1. Container orders exited with 1.\n" in out
    assert "log: KeyError: 'DATABASE_URL'" in out


def test_logs_that_may_not_be_read(api: ApiServer, why: Any) -> None:
    """The crash is still a finding, and the missing right is said."""
    shop(api, pod(crashed(1), ready=False))
    api.forced = {"get pods/log": 403}

    code, out, _ = why(NAME)

    assert code == 1
    assert "1. Container orders exited with 1.\n" in out
    assert 'apiGroups: [""], resources: [pods/log], verbs: [get]' in " ".join(out.split())


def test_a_program_that_is_missing_in_the_image(api: ApiServer, why: Any) -> None:
    """The exec itself shows that the preStop hook will fail."""
    shop(api, pod(told=TOLD), slices=(piece(),))
    api.execute = answering(None)

    code, out, _ = why(NAME)

    assert code == 1
    assert "1. The preStop hook of container orders runs lifecycle, but the image" in out


def test_a_gate_of_an_image_without_the_plugin(api: ApiServer, why: Any) -> None:
    """`lifecycle plugins` decides between the two causes."""
    shop(api, pod(**NO_GATE))
    table = "PLUGIN      HOOKS              PROBLEM\nprometheus  commands, options  -\n"
    api.execute = answering(status(plugins=[{"name": "state", "ok": True}]), plugins=table)

    code, out, _ = why(NAME)

    assert code == 1
    assert "lifecycle-kubernetes is not installed in the image" in " ".join(out.split())


def test_a_review_finds_the_missing_right_of_a_pod_that_does_not_answer(
    api: ApiServer, why: Any
) -> None:
    """Without an answer of the pod, the API server is asked about its ServiceAccount."""
    shop(api, pod(**NO_GATE))
    api.forced = {"exec": 403}
    asked: list[Object] = []

    def review(kind: str, spec: Object) -> Object:
        asked.append(spec)
        return {"allowed": False}

    api.review = review

    code, out, _ = why(NAME)

    assert code == 1
    assert "1. The ServiceAccount orders may not register the pod" in out
    assert asked[0]["user"] == "system:serviceaccount:shop:orders"
    assert asked[0]["resourceAttributes"]["subresource"] == "status"


def test_who_is_in_flight(api: ApiServer, why: Any) -> None:
    """A pod that drains names its work, and how much of its time is left."""
    found = pod(UNREADY, ready=False, gate=False, told=TOLD | {"state": "draining"}, **leaving(12))
    shop(api, found)
    entry = {"name": "GET /export", "age": 14.2, "agent": "", "worker": 1, "protocol": "http/1.1"}
    work = json.dumps({"in_flight": 1, "shown": 1, "entries": [entry]})
    api.execute = answering(status("draining", drain={"waiting_for": []}), inflight=work)

    code, out, _ = why(NAME)

    assert code == 1
    assert out.startswith(
        f"pod/{NAME} is terminating.\n\nnote The app is draining, with 1 piece of"
    )
    assert "GET /export for 14 s. 18 s of the grace period remain." in " ".join(out.split())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["sts/db"], "sts/db is not a pod or a Deployment. Name one of its pods"),
        (["deploy/"], "'deploy/' is not the name of a pod, or KIND/NAME"),
        (["a/b/c"], "'a/b' is not a kind with pods."),
        (["nothing"], "there is no pod/nothing in the namespace shop."),
        (["deploy/nothing", "-n", "other"], "there is no deploy/nothing in the namespace other."),
        (["x", "--context", "none"], "none"),
    ],
)
def test_wrong_use_has_exit_code_2(why: Any, words: list[str], message: str) -> None:
    """One line that names the mistake, and a page."""
    code, out, err = why(*words)

    assert (code, out) == (2, "")
    assert err.startswith("lifecycle: ")
    assert message in err
    assert "\nSee https://" in err


@pytest.mark.parametrize("failing", ["get pods", "list services", "list events"])
def test_no_access_has_exit_code_2(api: ApiServer, why: Any, failing: str) -> None:
    """A person whom the API server does not know gets one line, wherever it happens."""
    shop(api, pod())
    api.forced = {failing: 401}

    code, out, err = why(NAME)

    assert (code, out) == (2, "")
    assert err.startswith("lifecycle: API server: unauthorized: ")


def test_an_api_server_that_is_away(api: ApiServer, why: Any) -> None:
    """Nobody answers: exit code 2 as well."""
    api.stop()
    code, _, err = why(NAME)

    assert code == 2
    assert "unreachable" in err


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_no_line_is_wider_than_the_terminal(
    api: ApiServer, why: Any, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    """Only addresses and commands are longer, because they are to be copied."""
    monkeypatch.setenv("COLUMNS", str(columns))
    shop(api, wrong_readiness(), unhealthy("Readiness", refused(8081)))
    said = "unreachable: " + 20 * "no route to host "
    api.execute = answering(status("exporting", services=[exported("no", said)]))

    _, out, _ = why(NAME)

    long = [line for line in out.splitlines() if len(line) > columns]
    assert [line for line in long if not re.search("https://|kubectl ", line)] == []
    widest = max(len(line) for line in out.splitlines() if line not in long)
    assert widest <= columns < widest + 40 or columns == 200


@pytest.mark.parametrize(
    ("variables", "coloured"),
    [({}, False), ({"FORCE_COLOR": "1"}, True), ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False)],
)
def test_colours(
    api: ApiServer,
    why: Any,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    *,
    coloured: bool,
) -> None:
    """No colours in a pipe or with NO_COLOR, and the same text with and without them."""
    shop(api, wrong_readiness(), unhealthy("Readiness", refused(8081)))
    api.execute = answering(status())
    _, plain, _ = why(NAME)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TERM", "xterm-256color")

    _, out, _ = why(NAME)

    assert ("\x1b[1;31m" in out) == coloured
    assert ESCAPE.sub("", out) == plain
