"""`lifecycle manifests --profile=control-plane`: what runs the page of lifecycle-fleet."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from lifecycle.checks.check import check
from lifecycle.checks.reading.documents import documents
from lifecycle.cli.parser import make_parser
from lifecycle.links import help_page
from lifecycle.manifests.objects import objects
from lifecycle.manifests.output import as_json, as_yaml
from lifecycle.manifests.plan import Plan, make_plan
from lifecycle.manifests.validation import Refused
from lifecycle.testing.environment import handed_on
from tests.process.kit import cli

BASE = ["--name", "fleet", "--image", "registry.example/fleet:1", "--profile", "control-plane"]
HOME = ["--namespace", "tools"]
READ = {
    (resource, verb)
    for resource in ("pods", "events", "endpointslices")
    for verb in ("list", "watch")
}
REVIEW = {("tokenreviews", "create"), ("subjectaccessreviews", "create")}
COMMAND = ["lifecycle", "fleet", "serve", "--bind", "0.0.0.0:8080"]


def plan(*words: str) -> Plan:
    """Plan as the command does."""
    return make_plan(make_parser().parse_args(["manifests", *BASE, *words]), {})


def made(*words: str) -> dict[str, Any]:
    """Return the objects by kind. No kind is there twice."""
    found = objects(plan(*words))
    by_kind = {each["kind"]: each for each in found}
    assert len(by_kind) == len(found)
    return by_kind


def allowed(role: Any) -> set[tuple[str, str]]:
    """Return what a role allows: resources and verbs."""
    return {(r, v) for rule in role["rules"] for r in rule["resources"] for v in rule["verbs"]}


def test_all_objects() -> None:
    """In the order in which Kubernetes needs them, and all in the namespace that is named."""
    found = made(*HOME)

    assert list(found) == [
        "ServiceAccount",
        "ClusterRole",
        "ClusterRoleBinding",
        "NetworkPolicy",
        "PodDisruptionBudget",
        "Service",
        "Deployment",
    ]
    for kind, each in found.items():
        assert each["metadata"].get("namespace") == (None if "Cluster" in kind else "tools"), kind


def test_the_rights_for_all_namespaces() -> None:
    """To read pods, Events and EndpointSlices, and nothing else."""
    found = made(*HOME)
    binding = found["ClusterRoleBinding"]

    assert allowed(found["ClusterRole"]) == READ
    assert binding["roleRef"]["name"] == found["ClusterRole"]["metadata"]["name"] == "fleet-tools"
    assert binding["subjects"] == [
        {"kind": "ServiceAccount", "name": "fleet", "namespace": "tools"}
    ]
    spec = found["Deployment"]["spec"]["template"]["spec"]
    assert spec["containers"][0]["command"] == [*COMMAND, "--all-namespaces"]
    assert spec["automountServiceAccountToken"] is True
    assert found["ServiceAccount"]["automountServiceAccountToken"] is True


def test_the_rights_for_one_namespace() -> None:
    """A Role. Then nobody needs to say which namespace it is."""
    found = made("--namespaced")

    assert "ClusterRole" not in found
    assert allowed(found["Role"]) == READ
    assert found["RoleBinding"]["roleRef"]["name"] == found["Role"]["metadata"]["name"]
    assert found["RoleBinding"]["subjects"] == [{"kind": "ServiceAccount", "name": "fleet"}]
    assert found["Deployment"]["spec"]["template"]["spec"]["containers"][0]["command"] == COMMAND
    assert all("namespace" not in each["metadata"] for each in found.values())


@pytest.mark.parametrize("scope", [[], ["--namespaced"]])
def test_tokens_need_reviews(scope: list[str]) -> None:
    """They belong to no namespace, so this right is one for the cluster in any case."""
    found = made(*HOME, *scope, "--auth", "token")

    assert allowed(found["ClusterRole"]) == (REVIEW if scope else READ | REVIEW)
    assert found["ClusterRoleBinding"]["subjects"][0]["namespace"] == "tools"
    assert found["ClusterRoleBinding"]["subjects"][0]["name"] == "fleet"
    assert ("Role" in found) is bool(scope)
    command = found["Deployment"]["spec"]["template"]["spec"]["containers"][0]["command"]
    assert command[-2:] == ["--auth", "token"]


def test_rights_of_lifecycle_kubernetes_only_if_they_are_wanted() -> None:
    """The page itself registers nothing."""
    assert "readinessGates" not in made(*HOME)["Deployment"]["spec"]["template"]["spec"]
    found = made(*HOME, "--readiness-gate")

    assert found["Deployment"]["spec"]["template"]["spec"]["readinessGates"]
    assert allowed(found["ClusterRole"]) == READ
    assert ("pods/status", "patch") in allowed(found["Role"])
    env = found["Deployment"]["spec"]["template"]["spec"]["containers"][0]["env"]
    assert {"name": "LIFECYCLE_KUBERNETES_ENABLED", "value": "true"} in env


def test_the_network_policy() -> None:
    """Only its own namespace and those that are named may open the page."""
    spec = made(*HOME, "--allow-from", "ingress", "--allow-from", "ingress")["NetworkPolicy"][
        "spec"
    ]

    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert spec["podSelector"] == {"matchLabels": {"app.kubernetes.io/name": "fleet"}}
    label = {"kubernetes.io/metadata.name": "ingress"}
    assert spec["ingress"] == [
        {
            "from": [{"podSelector": {}}, {"namespaceSelector": {"matchLabels": label}}],
            "ports": [{"protocol": "TCP", "port": 8080}],
        }
    ]
    assert {each["port"] for each in spec["egress"][0]["ports"]} == {443, 6443, 8443, 16443}


@settings(deadline=None)
@given(
    words=st.lists(
        st.sampled_from(
            [
                ("--auth", "token"),
                ("--auth", "none"),
                ("--namespaced",),
                ("--allow-from", "a"),
                ("--replicas", "3"),
                ("--readiness-gate",),
                ("--prestop", "http"),
                ("--guaranteed",),
                ("--env", "LIFECYCLE_SETTLE=9"),
                ("--user", "7"),
            ]
        ),
        unique=True,
    )
)
def test_every_combination_passes_the_check(words: list[tuple[str, ...]]) -> None:
    """As YAML and as JSON, and for the pod security profile `restricted`."""
    wanted = plan(*HOME, *(word for each in words for word in each))
    text = as_yaml(objects(wanted))
    for written in (text, as_json(wanted)):
        assert check(documents(written)) == ([], {})
    assert list(yaml.safe_load_all(text)) == json.loads(as_json(wanted))["items"]

    found = {each["kind"]: each for each in objects(wanted)}
    spec = found["Deployment"]["spec"]["template"]["spec"]
    app = spec["containers"][0]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert app["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    assert found["Service"]["spec"]["ports"][0]["port"] == 8080
    assert {"name": "LIFECYCLE_SERVICES", "value": "fleet:8080"} in app["env"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "--namespace is missing"),
        (["--namespaced", "--auth", "token"], "--namespace is missing"),
        (["--namespace", "No"], "--namespace 'No' is not a name for Kubernetes"),
        ([*HOME, "--allow-from", "a b"], "--allow-from 'a b' is not a name for Kubernetes"),
        ([*HOME, "--", "lifecycle", "run", "a:b"], "Remove the command, after --,"),
        ([*HOME, "--service", "a:80"], "Remove --service"),
        ([*HOME, "--metrics", "annotations"], "Remove --metrics"),
        ([*HOME, "-o", "kustomize"], "writes whole objects. Remove -o kustomize"),
        ([*HOME, "-o", "kustomize", "--to", "x"], "Remove --to"),
    ],
)
def test_what_contradicts_the_profile(words: list[str], said: str) -> None:
    """It is refused, with what to do."""
    with pytest.raises(Refused, match=re.escape(said)):
        plan(*words)


@pytest.mark.parametrize(
    "words", [["--auth", "none"], HOME, ["--namespaced"], ["--allow-from", "a"]]
)
def test_options_that_only_this_profile_has(words: list[str]) -> None:
    """Another profile refuses them, and names the profile."""
    base = ["--name", "orders", "--image", "x:1", *words, "--", "lifecycle", "run", "a:b"]

    with pytest.raises(Refused, match="is only for --profile=control-plane"):
        make_plan(make_parser().parse_args(["manifests", *base]), {})


@pytest.mark.parametrize("profile", [["--profile", "control-plane"], ["--profile=control-plane"]])
def test_the_command(tmp_path: Path, profile: list[str]) -> None:
    """It needs no command after dashes, and has nothing to warn of."""
    words = ["--name", "fleet", "--image", "x:1", *profile, *HOME]
    done = cli("manifests", *words, env=handed_on(), cwd=tmp_path)

    assert (done.returncode, done.stderr) == (0, "")
    assert "kind: NetworkPolicy" in done.stdout


def test_a_refusal_of_the_command(tmp_path: Path) -> None:
    """One sentence, the page about it, and the exit code for wrong arguments."""
    done = cli("manifests", *BASE, env=handed_on(), cwd=tmp_path)

    assert done.returncode == 2
    assert done.stderr.startswith("lifecycle: --namespace is missing")
    assert done.stderr.endswith(f"See {help_page('errors.md#option-of-manifests')}\n")
