"""The layout `dubbo`, as the Redis registry of dubbo-spi-extensions reads it."""

from __future__ import annotations

import asyncio
import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from lifecycle_redis.dubbo import Dubbo

import lifecycle
from plugins.redis.tests.conftest import Play

KEY = "/dubbo/com.acme.Greeter/providers"


def instance(port: int | None = 50051, **given: Any) -> lifecycle.Instance:
    return lifecycle.Instance("com.acme.Greeter", "10.0.0.7", port, "pod/greeter", **given)


def test_the_url_of_a_provider() -> None:
    """What a consumer needs, sorted by name. Metadata is added, and replaces nothing of ours."""
    layout = Dubbo(60, clock=lambda: 1795867200.0)
    given = {"application": "shop", "weight": "50", "side": "consumer"}
    entry = layout.entry(instance(metadata=given, version="1.0"))
    url = urlsplit(entry.value)
    asked = {name: value for name, (value,) in parse_qs(url.query).items()}
    assert entry.key == KEY
    assert (url.scheme, url.netloc, url.path) == ("tri", "10.0.0.7:50051", "/com.acme.Greeter")
    assert asked.pop("pid").isdigit()
    assert list(asked) == sorted(asked)
    assert asked == {
        "application": "shop",
        "category": "providers",
        "deprecated": "false",
        "dubbo": "2.0.2",
        "dynamic": "true",
        "generic": "false",
        "interface": "com.acme.Greeter",
        "side": "provider",
        "timestamp": "1795867200000",
        "version": "1.0",
        "weight": "50",
    }


def test_an_ipv6_address_is_in_brackets() -> None:
    entry = Dubbo(60).entry(lifecycle.Instance("a", "fd00::7", 1, "pod/a"))
    assert entry.value.startswith("tri://[fd00::7]:1/a?")


def test_a_service_without_a_port_is_refused() -> None:
    with pytest.raises(lifecycle.RegistrationRefused, match="a has no port"):
        Dubbo(60).entry(lifecycle.Instance("a", "10.0.0.7", None, "pod/a"))


@pytest.mark.parametrize("wrong", [{"a": "b&c=d"}, {"appid": "1"}, {"a b": "c"}, {"a": "\x1b"}])
def test_metadata_that_would_break_the_url_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(lifecycle.RegistrationRefused, match="cannot be a part of the URL"):
        Dubbo(60).entry(instance(metadata=wrong))


def test_a_provider_is_registered_renewed_and_removed(play: Play) -> None:
    """The field is there with its expiry, is written again after a wipe, and goes in the drain."""

    async def scenario(app: Any) -> None:
        app.environment.setenv("LIFECYCLE_REDIS_LAYOUT", "dubbo")
        with app.server.client() as client, client.pubsub() as pubsub:
            pubsub.psubscribe("/dubbo/com.acme.Greeter/*")
            pubsub.get_message(timeout=5)
            async with app.ready("com.acme.Greeter", settle=0.1, grace_period=30):
                ((url, expiry),) = client.hgetall(KEY).items()
                assert url.startswith("tri://")
                assert 0 < int(expiry) - time.time() * 1000 <= 5000
                await app.until(lambda: client.hget(KEY, url) != expiry, "it is renewed")
                client.delete(KEY)
                await app.until(lambda: client.hget(KEY, url), "it is written again")
                app.life.offline("com.acme.Greeter")
                await app.until(lambda: not client.exists(KEY), "it is out")
            told = [pubsub.get_message(timeout=5) for _ in range(3)]
            assert [each["data"] for each in told] == ["register", "register", "unregister"]
            assert {each["channel"] for each in told} == {KEY}

    play(scenario)


def test_other_providers_stay_and_what_an_earlier_process_left_goes(play: Play) -> None:
    """Only the fields with our own host and port are of an earlier process."""

    async def scenario(app: Any) -> None:
        app.environment.setenv("LIFECYCLE_REDIS_LAYOUT", "dubbo")
        with app.server.client() as client:
            async with app.ready("com.acme.Greeter"):
                (url,) = client.hkeys(KEY)
            start = url.partition("?")[0]
            left, other = f"{start}?timestamp=1", "tri://10.9.9.9:1/com.acme.Greeter?a=b"
            client.hset(KEY, mapping={left: "1", other: "1"})
            async with app.ready("com.acme.Greeter"):
                await asyncio.sleep(0)
                assert sorted(key.partition("?")[0] for key in client.hkeys(KEY)) == sorted(
                    (start, "tri://10.9.9.9:1/com.acme.Greeter")
                )
                assert left not in client.hkeys(KEY)
            assert client.hkeys(KEY) == [other]

    play(scenario)
