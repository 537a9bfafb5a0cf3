"""The fixture `target`: the cluster of `KUBECONFIG`, or one of our own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cluster.cluster import Cluster


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
