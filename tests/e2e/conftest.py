"""Fixtures: the cluster, and a namespace for each test."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests import tables
from tests.cluster.cluster import Cluster
from tests.cluster.fixtures import Target, problem, target
from tests.e2e import copied_files, kit
from tests.e2e.rollout_table import HEADER, ROWS

__all__ = ["space", "target"]

LEFT_OUT = pytest.StashKey[list[str]]()


@pytest.fixture
def space(target: Target) -> Iterator[kit.Space]:
    """A namespace of the test's own."""
    with kit.namespace(target) as space:
        yield space


@pytest.fixture
def cluster(target: Target) -> Iterator[Cluster]:
    """Our own cluster, to be broken; its API server is up again when the test ends."""
    assert target.own is not None
    yield target.own
    target.own.bring_back_api_server()
    # What has looked for the API server in vain asks again only after a minute and more; each
    # outage doubles that, until two minutes have passed without one.
    for name in ("kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy"):
        target.own.kill(name)
        target.own.start(name)


@pytest.fixture(scope="session")
def copied(target: Target) -> Cluster:
    """Our own cluster, with the images that the files of examples/kubernetes name."""
    assert target.own is not None
    copied_files.load_image(target.own)
    return target.own


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What breaks a cluster, or gives it images, is left out on somebody's, and told."""
    if not os.environ.get("KUBECONFIG"):
        return
    if why := problem():
        raise pytest.UsageError(why)
    ours = [item for item in items if {"cluster", "copied"} & {*getattr(item, "fixturenames", ())}]
    items[:] = [item for item in items if item not in ours]
    config.hook.pytest_deselected(items=ours)
    config.stash[LEFT_OUT] = [item.nodeid for item in ours]


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    tables.report(terminalreporter, ROWS, HEADER, texts=2)
    if left_out := config.stash.get(LEFT_OUT, []):
        terminalreporter.section("not run on the cluster of KUBECONFIG")
        terminalreporter.line(
            "They are about our own cluster, kill its API server, or build images:"
        )
        for name in left_out:
            terminalreporter.line(f"  {name}")
