"""The fixture `target`: the cluster of `KUBECONFIG`, or one of our own."""

from __future__ import annotations

import os
import shutil
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

    def kubectl(self, namespace: str) -> list[str]:
        """Return how kubectl is begun in a namespace: the cluster's own, or the one on the PATH."""
        program = self.own.kubectl.split() if self.own else [shutil.which("kubectl") or ""]
        if not program[0]:
            pytest.fail("kubectl is not on the PATH")
        return [*program, "--kubeconfig", str(self.kubeconfig), "--namespace", namespace]


def problem() -> str:
    """Say why the tests cannot run on the cluster of KUBECONFIG; empty if they can."""
    if not (given := os.environ.get("KUBECONFIG")):
        return ""
    if os.pathsep in given:
        return (
            f"KUBECONFIG names several files ({given}): the tests take one;"
            " `kubectl config view --flatten --minify` writes it"
        )
    if not Path(given).expanduser().is_file():
        return f"KUBECONFIG is no file: {given}"
    if not os.environ.get("E2E_IMAGE"):
        return (
            "KUBECONFIG is set: name the image in E2E_IMAGE (tests/cluster/README.md), or unset it"
        )
    return ""


@pytest.fixture(scope="session")
def target() -> Iterator[Target]:
    """The user's cluster, else one that ends with the tests."""
    if given := os.environ.get("KUBECONFIG"):
        yield Target(Path(given).expanduser(), os.environ["E2E_IMAGE"], None)
        return
    with Cluster() as cluster:
        yield Target(cluster.kubeconfig, cluster.image, cluster)
