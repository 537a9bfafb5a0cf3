"""What the layout `plain` writes, without a server."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifecycle_zookeeper.paths import is_path
from lifecycle_zookeeper.plain import plain_node

import lifecycle

TEXT = st.text(max_size=20)


def instance(**given_: object) -> lifecycle.Instance:
    told = {"service": "orders", "host": "10.0.0.7", "port": 8080, "id": "orders-1/orders"}
    return lifecycle.Instance(**told | given_)  # type: ignore[arg-type]


def test_the_node_of_a_service() -> None:
    node = plain_node(instance(metadata={"weight": "5"}, version="1"), "", "shop")
    assert node.path == "/lifecycle/shop/orders/orders-1"
    assert node.data.decode() == (
        '{"host":"10.0.0.7","port":8080,"service":"orders","id":"orders-1/orders","protocol":"",'
        '"version":"1","metadata":{"weight":"5"}}'
    )


@given(TEXT, TEXT, st.dictionaries(TEXT, TEXT, max_size=3))
def test_any_namespace_and_metadata_are_written(
    namespace: str, pod: str, metadata: dict[str, str]
) -> None:
    node = plain_node(instance(id=f"{pod}/orders", metadata=metadata), "/x", namespace)
    assert is_path(node.path)
    assert node.path.count("/") == 5
    assert json.loads(node.data)["metadata"] == metadata


OTHERS = {
    b'{"host":"10.0.0.7","port":8080}': True,
    b'{"host":"10.0.0.7","port":80}': False,
    b'{"host":"10.0.0.8","port":8080}': False,
    b'{"port":8080}': False,
    b"[]": False,
    b"5": False,
    b"theirs": False,
    b"\xff": False,
    b"": False,
}


@pytest.mark.parametrize("data", OTHERS)
def test_whose_address_a_node_has(data: bytes) -> None:
    """Only the node of our own host and port can be what an earlier process has left."""
    assert plain_node(instance(), "", "shop").is_same_address(data) is OTHERS[data]


def test_metadata_that_are_too_long_are_refused() -> None:
    with pytest.raises(lifecycle.RegistrationRefused, match="100001 characters are too many"):
        plain_node(instance(metadata={"x": "y" * 100_000}), "", "shop")
