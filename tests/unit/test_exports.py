"""Exporting a service twice: the same is the one there is, another is refused."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lifecycle import Config, Lifecycle

FIRST: dict[str, Any] = {"port": 8080, "host": "192.0.2.7", "protocol": "grpc"}
LIMIT = 10.0


def export_twice(first: dict[str, Any], second: dict[str, Any]) -> tuple[Any, Any, int]:
    """Export in a real lifecycle; the two services, and how many there are."""

    async def main() -> tuple[Any, Any, int]:
        async with asyncio.timeout(LIMIT), Lifecycle(Config(qos_enabled=False)) as life:
            one = life.export("orders", **first)
            await life.ready()
            return one, life.export("orders", **second), len(life.services)

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (FIRST, FIRST),
        (FIRST, {"port": 8080, "protocol": "grpc"}),
        ({}, {}),
        ({"port": 8080}, {"port": 8080, "metadata": {"zone": "a"}}),
    ],
)
def test_the_same_again(first: dict[str, Any], second: dict[str, Any]) -> None:
    """The same service exported again is the one there is."""
    one, again, count = export_twice(first, second)

    assert (one.name, one.port, count) == (again.name, again.port, 1)
    assert again.port == first.get("port")


@pytest.mark.parametrize(
    ("changed", "asked", "there"),
    [
        ({"port": 9090}, "port=9090", "port=8080"),
        ({"port": None}, "port=None", "port=8080"),
        ({"host": "192.0.2.8"}, "host='192.0.2.8'", "host='192.0.2.7'"),
        ({"protocol": ""}, "protocol=''", "protocol='grpc'"),
    ],
)
def test_another_of_the_same_name(changed: dict[str, Any], asked: str, there: str) -> None:
    """Another one of the same name is an error that says what is exported already."""
    with pytest.raises(ValueError, match=r"this name is already exported") as caught:
        export_twice(FIRST, FIRST | changed)

    assert f"export('orders', {asked})" in str(caught.value)
    assert there in str(caught.value)
