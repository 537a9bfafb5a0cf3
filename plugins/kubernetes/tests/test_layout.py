"""What is written onto the pod, in Dubbo's layout."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest
import yaml
from lifecycle_kubernetes import layout, place, reporter

import lifecycle
from lifecycle.environment_variables import fill
from lifecycle.manifests import names
from lifecycle.manifests.rights import rules

ADDRESS = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}


def instance(name: str = "orders", port: int | None = 20880, **given: Any) -> lifecycle.Instance:
    return lifecycle.Instance(name, "10.0.0.1", port, f"pod/{name}", **given)


def test_the_gate_is_the_one_that_the_manifests_have() -> None:
    """Both sides name the same condition."""
    assert layout.REGISTERED == names.REGISTERED


def test_the_role_of_the_manifests_allows_each_request() -> None:
    """Read and watch the pod, patch its status, list and watch the slices, create Events."""
    allowed = {(r, v) for rule in names.RULES for r in rule["resources"] for v in rule["verbs"]}
    asked = {("pods", "get"), ("pods", "watch"), ("pods/status", "patch"), ("events", "create")}
    assert allowed == asked | {("endpointslices", "list"), ("endpointslices", "watch")}


@pytest.mark.parametrize("rule", [reporter.EVENTS_RULE, reporter.STATUS_RULE])
def test_the_right_that_the_log_names_is_in_the_role(rule: str) -> None:
    """Whoever copies the rule from the log has what `lifecycle manifests` writes."""
    assert yaml.safe_load("{" + rule + "}") in names.RULES


def test_the_manifests_know_how_reports_are_turned_off() -> None:
    """The same words as the plugin's own options: what is off needs no right."""
    off = {"LIFECYCLE_KUBERNETES_STATUS": "off", "LIFECYCLE_KUBERNETES_EVENTS": "none"}
    options, _ = fill(place.Options, off, plugin="kubernetes")
    assert (options.status, options.chosen_events) == (False, frozenset())
    assert rules(off, registers=False) == []


def test_the_annotation_has_dubbos_keys_and_strings_only() -> None:
    """As a Dubbo provider on a real cluster writes it: JSON in JSON, every value a string."""
    params = '{"port":"20885","protocol":"dubbo"}'
    metadata = {"dubbo.metadata-service.url-params": params, "region": "north"}

    value = json.loads(layout.annotation([instance(protocol="dubbo", metadata=metadata)], 1.5))

    assert all(isinstance(each, str) for each in value.values())
    assert value["dubbo.endpoints"] == '[{"port":20880,"protocol":"dubbo"}]'
    assert value["timestamp"] == "1500"
    assert value["dubbo.metadata-service.url-params"] == params
    assert value["region"] == "north"
    assert len(value["dubbo.metadata.revision"]) == 32


def test_the_annotation_has_all_services_in_one_order() -> None:
    """Two services are two endpoints; one without a port is none; of one key the first holds."""
    both = [
        instance("b", 2, protocol="tri", metadata={"x": "b"}),
        instance("a", 1, metadata={"x": "a"}),
    ]

    value = json.loads(layout.annotation([*both, instance("c", None)], 0))

    assert [each["port"] for each in json.loads(value["dubbo.endpoints"])] == [1, 2]
    assert value["x"] == "a"


def test_a_protocol_on_several_ports_has_no_endpoint() -> None:
    """A consumer would take the first one's port for both; on one port it may be said."""
    both = [instance("b", 2, protocol="dubbo"), instance("a", 1, protocol="dubbo")]
    third = instance("c", 3, protocol="tri")

    def endpoints(*each: lifecycle.Instance) -> Any:
        return json.loads(json.loads(layout.annotation(each, 0))["dubbo.endpoints"])

    assert endpoints(*both, third) == [{"port": 3, "protocol": "tri"}]
    assert endpoints(third, instance("d", 3, protocol="tri")) == [{"port": 3, "protocol": "tri"}]


def test_a_pod_of_another_uid_is_another_pod() -> None:
    """It has our condition and our annotation, and is not ours."""
    conditions = [{"type": layout.REGISTERED, "status": "True"}]
    metadata = {"uid": "u1", "annotations": {layout.ANNOTATION: "{}"}}
    pod = {"metadata": metadata, "status": {"conditions": conditions}}

    assert layout.lost(pod, "u1") == ""
    assert "another pod" in layout.lost(pod, "u2")


def test_the_revision_is_of_what_is_offered_and_not_of_the_time() -> None:
    """The same services have the same revision, others another."""

    def revision(at: float, **given: Any) -> str:
        value = json.loads(layout.annotation([instance(**given)], at))
        return str(value["dubbo.metadata.revision"])

    assert revision(1) == revision(2)
    assert revision(1) != revision(1, version="2.0.0")


def test_a_patch_that_takes_the_pod_out_has_no_annotation() -> None:
    """Nothing registered: the condition is false, and the annotation is removed."""
    patch = layout.patch("u1", (), 0)

    assert patch["metadata"] == {"uid": "u1", "annotations": {"io.dubbo/metadata": None}}
    (condition,) = patch["status"]["conditions"]
    assert (condition["type"], condition["status"]) == (names.REGISTERED, "False")
    assert condition["lastTransitionTime"] == "1970-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("environ", "files", "missing"),
    [
        ({}, (), "this is not a pod"),
        ({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, (), "KUBERNETES_SERVICE_PORT is not set"),
        (ADDRESS, ("ca.crt", "namespace"), "token is missing. Check automountServiceAccountToken"),
        (ADDRESS, ("token", "namespace"), "ca.crt is missing. The account is mounted only in part"),
    ],
)
def test_no_pod_has_no_place(
    environ: dict[str, str], files: tuple[str, ...], missing: str, tmp_path: Any
) -> None:
    """Without the API server's address, or without a token, there is nobody to speak for."""
    for name in files:
        (tmp_path / name).write_text("x")
    with pytest.raises(place.NoAccount, match=missing):
        place.find_place(str(tmp_path), environ)


def test_a_pod_that_is_not_told_its_name_is_called_like_the_host(tmp_path: Any) -> None:
    """POD_NAME wins; without it the kubelet's host name is the pod's."""
    for name in ("token", "ca.crt", "namespace"):
        (tmp_path / name).write_text("shop\n")

    assert place.find_place(str(tmp_path), ADDRESS).pod == socket.gethostname()
    found = place.find_place(str(tmp_path), ADDRESS | {"POD_NAME": "orders-1"})
    assert (found.pod, found.namespace) == ("orders-1", "shop")
