"""Fixtures: the cluster, and a namespace for each test."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator

import pytest
from lightkube import Client, KubeConfig

from tests.cluster.fixtures import Target, target
from tests.e2e import kit

__all__ = ["space", "target"]

collect_ignore = (
    ["test_cluster.py", "test_registry_outage.py"] if os.environ.get("KUBECONFIG") else []
)
"""What is said of our own cluster needs no proof on another; and no other one is broken."""


@pytest.fixture
def space(target: Target) -> Iterator[kit.Space]:
    """A namespace of the test's own."""
    name = f"e2e-{secrets.token_hex(4)}"
    with Client(KubeConfig.from_file(target.kubeconfig), namespace=name) as client:
        kit.begin(client, name)
        yield kit.Space(client, name, target.image)
        kit.end(client, name)
