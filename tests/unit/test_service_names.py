"""What a service may be called: the same rule in code, in the environment and on the command line."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle import Config, ConfigError, Lifecycle
from lifecycle.asgi import Managed
from lifecycle.service_names import (
    LONGEST,
    check_port,
    check_service_name,
    is_service_spec,
    service_spec,
)


async def no_app(*_: object) -> None:
    """Never be called."""


GOOD = [
    *("orders", "9", "com.acme.Orders", "com.acme/Orders-v1.2", "a_b", "orders/v2", "x" * LONGEST),
    *("grpc.health.v1.Health", "orders/v1", "com.acme.Orders-1.0.2", "a.b/c.d", "a._b-.c"),
]
BAD = [
    *("", " ", "a b", " a", "a ", "a\n", "a\tb", "a\x1b[31m", "a\x00", "a\x7f", "a\u202eb"),
    *("-a", ".a", "/a", "_a", "a:1", "a:b", "a*", "a?", "[a]", "a,b", "a\\b", "größe", "٣", "a@b"),
    *("a/../b", "a/./b", "a//b", "a/", "a.", "a-", "a_", "a/.b", "a/b.", "a./b", ".."),
    *("a..b", "a...b", "a/b..c", "a..b/c"),
    *("x" * (LONGEST + 1), "x/" * (LONGEST // 2) + "xx", "a" + "." * 10_000),
]


@pytest.mark.parametrize("name", GOOD)
def test_a_name(name: str) -> None:
    """Letters, digits and `._-/`, as names of hosts, of interfaces and of paths have them."""
    check_service_name(name)
    assert service_spec(name) == (name, None)
    for port in (1, 8080, 65535):
        assert service_spec(f"{name}:{port}") == (name, port)
    assert Config(services=(name,)).services == (name,)


@pytest.mark.parametrize("name", BAD)
def test_no_name(name: str) -> None:
    """Anything else is refused, and what is shown of it is short and printable."""
    with pytest.raises(
        ValueError,
        match=r"must be 1 to 253 letters .* start and end with .* not contain '\.\.'\nSee ",
    ) as caught:
        check_service_name(name)
    assert str(caught.value).startswith(f"the service name {name[:80]!r} must be")
    assert str(caught.value).isprintable()
    assert not is_service_spec(f"{name}:8080")


@pytest.mark.parametrize("name", [None, 7, b"orders", ["orders"]])
def test_a_name_that_is_no_text(name: Any) -> None:
    """It is refused by the same rule."""
    with pytest.raises(ValueError, match=f"the service name a {type(name).__name__} must be"):
        check_service_name(name)


@pytest.mark.parametrize("text", ["", ":1", "a:", "a:0", "a:65536", "a b", "-a", "a:1:2", "a:1\n"])
def test_no_service_spec(text: str) -> None:
    """What is not NAME or NAME:PORT is refused, with what was given."""
    with pytest.raises(ConfigError, match="must be NAME or NAME:PORT"):
        service_spec(text)


@given(st.text(max_size=12) | st.text(alphabet="aB3._-/", max_size=8))
def test_any_text(text: str) -> None:
    """A name is what the rule says, and is the same alone and before a port."""
    ends = re.fullmatch("[A-Za-z0-9].*[A-Za-z0-9]|[A-Za-z0-9]", text) is not None
    good = (
        ends
        and re.fullmatch("[A-Za-z0-9._/-]*", text) is not None
        and re.search(r"[._-]/|/[._/-]|\.\.", text) is None
    )
    try:
        check_service_name(text)
    except ValueError:
        assert not good
    else:
        assert good
    assert is_service_spec(f"{text}:80") is good


@pytest.mark.parametrize("name", ["a b", "a\x1b[31m", "", "x" * 300])
def test_exporting_what_is_no_name(name: str) -> None:
    """`export` says the rule, and nothing is exported."""

    async def main() -> None:
        async with asyncio.timeout(10), Lifecycle(Config(qos_enabled=False)) as life:
            with pytest.raises(ValueError, match="must be 1 to 253 letters"):
                life.export(name, port=8080)
            assert len(life.services) == 0
            await life.ready()

    asyncio.run(main())


@pytest.mark.parametrize("name", ["my shop", "", "a:1", 7])
def test_a_managed_app_of_what_is_no_name(name: Any) -> None:
    """It is refused where it is written: the app would serve, and never be ready."""
    with pytest.raises(ValueError, match="must be 1 to 253 letters"):
        Managed(no_app, service=name, port=8080)


@pytest.mark.parametrize("port", [None, 1, 8080, 65535])
def test_a_port_of_a_service(port: int | None) -> None:
    """Any port that can be listened on, and none."""
    check_port("export(", port)


@pytest.mark.parametrize("port", [0, -1, 65536, "8080", 80.5, True])
def test_no_port_of_a_service(port: Any) -> None:
    """It is refused where it is written, with what it may be, with a service and without one."""

    async def main() -> None:
        async with asyncio.timeout(10), Lifecycle(Config(qos_enabled=False)) as life:
            with pytest.raises(ValueError, match=rf"export.*port={port!r}.*from 1 to 65535"):
                life.export("shop", port=port)

    for service in ("shop", None):
        with pytest.raises(ValueError, match=rf"Managed.*port={port!r}.*from 1 to 65535"):
            Managed(no_app, service=service, port=port)
    asyncio.run(main())


@pytest.mark.parametrize("spec", ["my shop", "größe:80", "x" * 300])
def test_the_setting_says_the_rule(spec: str) -> None:
    """`LIFECYCLE_SERVICES`, and with it `lifecycle run --service`: what is wrong, and what is right."""
    with pytest.raises(ConfigError, match=r"is neither\. NAME must be 1 to 253 letters"):
        Config(services=(spec,))
