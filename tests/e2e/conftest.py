"""Fixtures: the cluster of `KUBECONFIG`, or one of our own, and a namespace for each test."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from lightkube import Client, KubeConfig

from tests.cluster.cluster import Cluster
from tests.e2e import kit

collect_ignore = ["test_cluster.py"] if os.environ.get("KUBECONFIG") else []
"""What is said of our own cluster needs no proof on another."""


@dataclass(frozen=True)
class Target:
    """Where the tests run: a cluster that has the image."""

    kubeconfig: Path
    image: str
    own: Cluster | None
    """The cluster itself, if it is ours to break."""


@pytest.fixture(scope="session")
def target() -> Iterator[Target]:
    """The user's cluster, else one that ends with the tests."""
    if given := os.environ.get("KUBECONFIG"):
        if not (image := os.environ.get("E2E_IMAGE")):
            pytest.fail("KUBECONFIG is set: name the image in E2E_IMAGE (tests/cluster/README.md)")
        yield Target(Path(given).expanduser(), image, None)
        return
    with Cluster() as cluster:
        yield Target(cluster.kubeconfig, cluster.image, cluster)


@pytest.fixture
def space(target: Target) -> Iterator[kit.Space]:
    """A namespace of the test's own."""
    name = f"e2e-{secrets.token_hex(4)}"
    with Client(KubeConfig.from_file(target.kubeconfig), namespace=name) as client:
        kit.begin(client, name)
        yield kit.Space(client, name, target.image)
        kit.end(client, name)
