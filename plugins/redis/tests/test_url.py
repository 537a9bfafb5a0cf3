"""The URL of the registry, and the options."""

from __future__ import annotations

import re
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifecycle_redis.options import LayoutName, Options
from lifecycle_redis.url import Address, Server, read_url

import lifecycle
from lifecycle.environment_variables import fill

A, B = Server("a", 6379), Server("b", 7000)
URLS = {
    "redis://a": Address((A,)),
    "redis://a:6379/3": Address((A,), database=3),
    "redis://a,b:7000": Address((A, B)),
    "redis://[::1]:7000,a": Address((Server("::1", 7000), A)),
    "redis://u:p%40ss@a": Address((A,), user="u", password="p@ss"),
    "redis://:p@a": Address((A,), password="p"),
    "rediss://a/?namespace=shop": Address((A,), tls=True, namespace="shop"),
    "redis://a?sentinel=main": Address((Server("a", 26379),), sentinel="main"),
}
WRONG = {
    "a:6379": "must be redis://",
    "http://a": "The scheme is redis or rediss",
    "redis://": "must be redis://",
    "redis://a,": "must be redis://",
    "redis://a:x": "A port is a number",
    "redis://a:70000": "A port is a number",
    "redis://::1": "in brackets",
    "redis://[::1": "must be redis://",
    "redis://a/x": "The database is a number",
    "redis://a?group=x": "may only have namespace and sentinel",
    "redis://a?namespace": "NAME=VALUE",
    "redis://a?namespace=x&namespace=y": "a name twice",
    "redis://a?namespace=x:y": "without spaces and colons",
    "redis://:p#w@a": "for example # as %23",
}


@pytest.mark.parametrize("text", URLS)
def test_a_url_is_read(text: str) -> None:
    assert read_url(text) == URLS[text]


@pytest.mark.parametrize("text", WRONG)
def test_a_wrong_url_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(WRONG[text])):
        read_url(text)


@given(st.text(max_size=30), st.sampled_from(["", "redis://", "rediss://s3cr3t@", "redis://a?"]))
def test_any_text_is_read_or_refused(text: str, start: str) -> None:
    """No other error than ValueError, and the message never quotes the URL."""
    told = ""
    try:
        read_url(start + text)
    except ValueError as wrong:
        told = str(wrong)
    assert "s3cr3t" not in told


@given(st.text(string.printable, min_size=1, max_size=20))
def test_any_password_arrives(password: str) -> None:
    """Written as %XX."""
    quoted = "".join(f"%{byte:02X}" for byte in password.encode())
    assert read_url(f"redis://:{quoted}@a").password == password


OPTIONS: dict[str, tuple[dict[str, str], str]] = {
    "ttl": ({"TTL": "1"}, "ttl=1.0: must be from 5 to 3600 seconds (from LIFECYCLE_REDIS_TTL)"),
    "settle": ({"SETTLE": "-1"}, "settle=-1.0: must be from 0 to 3600 seconds"),
    "two passwords": ({"URL": "redis://:p@a", "PASSWORD_FILE": "/x"}, "the url has a password too"),
    "no TLS": ({"CA_FILE": "/x"}, "ca_file: the url must start with rediss://"),
    "half a certificate": (
        {"URL": "rediss://a", "KEY_FILE": "/x"},
        "certificate_file and key_file: set both",
    ),
    "layout": ({"LAYOUT": "spring"}, "must be plain or dubbo"),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_wrong_options_are_refused(name: str) -> None:
    """The variable is named, and the password never shown."""
    given_, message = OPTIONS[name]
    environ = {f"LIFECYCLE_REDIS_{each}": value for each, value in given_.items()}
    environ.setdefault("LIFECYCLE_REDIS_URL", "redis://a")
    with pytest.raises(lifecycle.ConfigError) as raised:
        fill(Options, environ, plugin="redis")
    assert message in str(raised.value)


def test_a_wrong_url_never_shows_its_password() -> None:
    with pytest.raises(lifecycle.ConfigError) as raised:
        fill(Options, {"LIFECYCLE_REDIS_URL": "redis://:s3cr3t@a:x"}, plugin="redis")
    assert "s3cr3t" not in str(raised.value)
    assert "s3cr3t" not in repr(Options(url="redis://:s3cr3t@a"))


@pytest.mark.parametrize(
    ("given_", "lease", "notice"),
    [
        ({}, 15.0, None),
        ({"layout": LayoutName.DUBBO}, 60.0, 6.0),
        ({"layout": LayoutName.DUBBO, "settle": 30.0, "ttl": 20.0}, 20.0, 30.0),
    ],
)
def test_the_times_of_a_layout(given_: dict[str, Any], lease: float, notice: float | None) -> None:
    options = Options(url="redis://a", **given_)
    assert (options.lease, options.notice) == (lease, notice)
    assert not Options().enabled
