"""`ls` against a fake API server, its output read as a person would."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from plugins.fleet.tests import objects
from plugins.fleet.tests.api_server import ApiServer
from plugins.fleet.tests.objects import ended, hook_failed, piece, pod, told
from plugins.fleet.tests.running import fleet

pytestmark = pytest.mark.usefixtures("kubeconfig")


@pytest.fixture
def shop(api: ApiServer) -> ApiServer:
    """A fleet of two Deployments of ours and a foreign one."""
    for plural, thing in objects.fleet():
        api.put(plural, thing)
    return api


def rows(text: str) -> list[list[str]]:
    """Return the cells of a table."""
    return [re.split(r"  +", line) for line in text.splitlines()]


def row(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, str]:
    """Return the only row of `ls`, by title."""
    assert fleet("ls", *words) == 0
    head, only = rows(capsys.readouterr().out)
    return dict(zip(head, only, strict=True))


def test_a_line_a_pod_in_order(shop: ApiServer, capsys: pytest.CaptureFixture[str]) -> None:
    """The pods are sorted by workload, revision and name. A foreign one is not shown."""
    assert fleet("ls") == 0
    found = rows(capsys.readouterr().out)

    assert found[0] == (
        [
            "WORKLOAD",
            "REVISION",
            "POD",
            "STATE",
            "SINCE",
            "ONLINE",
            "IN-SLICES",
            "READY",
            "RESTARTS",
            "LAST-DRAIN",
        ]
    )
    assert [each[2] for each in found[1:]] == [
        "billing-66c5d4-aaaaa",
        "billing-66c5d4-bbbbb",
        "orders-5b8f7c9d4-qq2vx",
        "orders-7d4b9c6f5-9lk4m",
        "orders-7d4b9c6f5-x2x7q",
        "orders-7d4b9c6f5-zz8wp",
    ]
    assert found[1] == [
        "deploy/billing",
        "66c5d4",
        "billing-66c5d4-aaaaa",
        "ready",
        "65s",
        "1/1",
        "yes",
        "yes",
        "3",
        "cut off (124)",
    ]


@pytest.mark.parametrize(
    ("thing", "cells"),
    [
        (pod(annotation=told(ago=188400)), {"STATE": "ready", "SINCE": "2d4h", "LAST-DRAIN": "-"}),
        (
            pod(annotation=told(online=[], offline=["a", "b"])),
            {"STATE": "ready, offline", "ONLINE": "0/2"},
        ),
        (pod(annotation=told(online=[], offline=[])), {"ONLINE": "-"}),
        (pod(annotation=told(), ready=False), {"READY": "no"}),
        (pod(annotation=told(), restarts=4, last=ended(0)), {"LAST-DRAIN": "clean"}),
        (pod(annotation=told(), restarts=4, last=ended(143)), {"RESTARTS": "4"}),
        (pod(annotation=told(), last=ended(124)), {"LAST-DRAIN": "cut off (124)"}),
        (pod(annotation=told(), last=ended(137)), {"LAST-DRAIN": "killed (137)"}),
        (pod(annotation=told(), last=ended(137, "OOMKilled")), {"LAST-DRAIN": "OOMKilled (137)"}),
        (pod(annotation=told(), last=ended(3)), {"LAST-DRAIN": "failed (3)"}),
        (
            pod(annotation=told("draining"), state={"waiting": {"reason": "CrashLoopBackOff"}}),
            {"STATE": "CrashLoopBackOff", "ONLINE": "-"},
        ),
        (
            pod(container={"readinessProbe": {"httpGet": {"path": "/ready", "port": 22222}}}),
            {"STATE": "running", "ONLINE": "-"},
        ),
        (
            pod(annotation=told(), labels={"pod-template-hash": "other"}),
            {"WORKLOAD": "rs/orders-7d4b9c6f5"},
        ),
    ],
)
def test_what_a_line_says(
    api: ApiServer,
    capsys: pytest.CaptureFixture[str],
    thing: dict[str, Any],
    cells: dict[str, str],
) -> None:
    """Each column, for a pod of each kind."""
    api.put("pods", thing)

    found = row(capsys)

    assert {name: found[name] for name in cells} == cells


@pytest.mark.parametrize(
    ("slices", "shown"),
    [([], "-"), ([True], "yes"), ([False], "no"), ([False, True], "yes")],
)
def test_whether_clients_find_a_pod(
    api: ApiServer, capsys: pytest.CaptureFixture[str], slices: list[bool], shown: str
) -> None:
    """A pod is found if it is ready in at least one slice."""
    api.put("pods", pod("one", annotation=told()))
    for number, ready in enumerate(slices):
        api.put("endpointslices", piece({"one": ready}, name=f"slice-{number}"))

    assert row(capsys)["IN-SLICES"] == shown


@pytest.mark.parametrize(
    ("last", "hook_ago", "shown"),
    [
        (None, 5, "hook failed"),
        (ended(0, ago=60), 65, "clean, hook failed"),
        (ended(137, ago=60), 65, "killed (137), hook failed"),
        (ended(0, ago=60), 3600, "clean"),
    ],
)
def test_a_hook_that_failed_belongs_to_a_drain(
    api: ApiServer,
    capsys: pytest.CaptureFixture[str],
    last: dict[str, Any] | None,
    hook_ago: float,
    shown: str,
) -> None:
    """An Event counts if it is not older than the container that has ended."""
    api.put("pods", pod("one", annotation=told(), last=last))
    api.put("events", hook_failed("one", ago=hook_ago))

    assert row(capsys)["LAST-DRAIN"] == shown


def test_wide_has_the_rest(api: ApiServer, capsys: pytest.CaptureFixture[str]) -> None:
    """Node, version, settings, the seconds of the start, the cause, and the names of the services."""
    api.put("pods", pod(annotation=told(online=["orders"], offline=["admin"], cause="a b")))

    found = row(capsys, "-o", "wide")

    wanted = {
        "NAMESPACE": "shop",
        "SERVICES": "orders,-admin",
        "NODE": "node-a",
        "VERSION": "0.2.0",
        "SETTLE": "5s",
        "GRACE": "30s",
        "START": "3.2s",
        "CAUSE": "a b",
    }
    assert {name: found[name] for name in wanted} == wanted


def test_all_namespaces_have_a_column(api: ApiServer, capsys: pytest.CaptureFixture[str]) -> None:
    """-A shows the namespace, and sorts by it."""
    for namespace in ("zoo", "shop"):
        api.put("pods", pod("one", namespace=namespace, annotation=told()))

    assert fleet("ls", "-A") == 0
    assert [each[0] for each in rows(capsys.readouterr().out)] == ["NAMESPACE", "shop", "zoo"]


def test_only_what_is_asked_for(shop: ApiServer, capsys: pytest.CaptureFixture[str]) -> None:
    """Labels select, -n names a namespace before or after the subcommand, --all shows all."""
    assert fleet("ls", "-l", "app=billing", "--no-headers") == 0
    assert len(rows(capsys.readouterr().out)) == 2
    assert fleet("-n", "other", "ls", "-n", "shop", "--all", "--no-headers") == 0
    assert "foreign-1" in capsys.readouterr().out
    assert fleet("-n", "zoo", "ls") == 0
    shown = capsys.readouterr()
    assert shown.out == ""
    assert (
        "no pod in the namespace zoo runs pod-lifecycle. To see all pods, pass --all" in shown.err
    )
    assert fleet("ls", "--all", "-A", "-l", "app=none") == 0
    assert "there are no pods in any namespace with the labels app=none" in capsys.readouterr().err


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_data_is_one_object(shop: ApiServer, capsys: pytest.CaptureFixture[str], form: str) -> None:
    """It has a version and a list, in the same order."""
    assert fleet("ls", "-o", form) == 0
    text = capsys.readouterr().out
    found = json.loads(text) if form == "json" else yaml.safe_load(text)

    assert found["version"] == 1
    assert [each["name"] for each in found["pods"]][:2] == [
        "billing-66c5d4-aaaaa",
        "billing-66c5d4-bbbbb",
    ]
    one = found["pods"][0]
    assert one["last_end"]["how"] == "cut off"
    assert one["problem"] == "the last drain cut off work"
    assert one["told"]["online"] == ["orders"]


def test_no_pods_are_an_empty_list(api: ApiServer, capsys: pytest.CaptureFixture[str]) -> None:
    """Data is there in any case, and nothing is said."""
    assert fleet("ls", "-o", "json") == 0
    shown = capsys.readouterr()
    assert (json.loads(shown.out), shown.err) == ({"version": 1, "pods": []}, "")


@pytest.mark.parametrize(
    ("plural", "column", "right"),
    [
        ("endpointslices", "IN-SLICES", "endpointslices (discovery.k8s.io) in the namespace shop"),
        ("events", "LAST-DRAIN", "events in the namespace shop"),
    ],
)
def test_a_column_that_may_not_be_seen(
    api: ApiServer, capsys: pytest.CaptureFixture[str], plural: str, column: str, right: str
) -> None:
    """It shows ?, and one line says which right is missing. The rest is shown."""
    api.put("pods", pod(annotation=told()))
    api.forced[f"list {plural}"] = 403

    assert fleet("ls") == 0
    shown = capsys.readouterr()
    head, only = rows(shown.out)

    assert dict(zip(head, only, strict=True))[column] == "?"
    assert shown.err.splitlines() == [
        f"lifecycle: the column {column} shows ?, because you may not list and watch {right}"
    ]


@pytest.mark.parametrize("plural", ["pods", "endpointslices", "events"])
@pytest.mark.parametrize("code", [500, 429])
def test_what_else_fails_is_an_error(
    api: ApiServer, capsys: pytest.CaptureFixture[str], plural: str, code: int
) -> None:
    """A list that is not complete is not shown as if it were."""
    api.forced[f"list {plural}"] = code

    assert fleet("ls") == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("lifecycle: API server: ")
    assert "errors.md#fleet-api-server" in shown.err


def test_pods_that_may_not_be_seen(api: ApiServer, capsys: pytest.CaptureFixture[str]) -> None:
    """The API server's own words name the right."""
    api.forced["list"] = 403

    assert fleet("ls", "-A") == 1
    assert 'cannot list resource "pods" in API group "" at the cluster scope' in (
        capsys.readouterr().err
    )


HOSTILE = "\x1b[2J\nfake\u202e<b>\x07"


def test_hostile_texts_stay_on_their_line(
    api: ApiServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """Names and reasons of the cluster do nothing to a terminal."""
    annotation = told(cause=HOSTILE, online=[HOSTILE], version=HOSTILE)
    state = {"waiting": {"reason": HOSTILE}}
    for number, each in enumerate([pod("a", annotation=annotation), pod("b", state=state)]):
        each["metadata"]["ownerReferences"][0]["name"] = HOSTILE
        each["metadata"]["labels"]["pod-template-hash"] = HOSTILE
        each["spec"]["nodeName"] = HOSTILE
        each["status"]["containerStatuses"][0]["lastState"] = {"terminated": ended(1, HOSTILE)}
        api.put("pods", each | {"metadata": each["metadata"] | {"uid": str(number)}})
    api.put("events", hook_failed("a"))

    for words in (["--all"], ["--all", "-o", "wide"]):
        assert fleet("ls", *words) == 0
        shown = capsys.readouterr().out
        assert len(shown.splitlines()) == 3
        assert shown.replace("\n", "").isprintable()
    for form in ("json", "yaml"):
        assert fleet("ls", "--all", "-o", form) == 0
        assert capsys.readouterr().out.replace("\n", "").isprintable()


def test_a_kubeconfig_that_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """There is a message with its page, and no traceback."""
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))

    assert fleet("ls") == 1
    shown = capsys.readouterr().err
    assert "there is no such file" in shown
    assert "errors.md#fleet-kubeconfig" in shown
