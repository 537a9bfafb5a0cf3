"""The URL of the registry, and the options."""

from __future__ import annotations

import re
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kazoo.hosts import collect_hosts
from lifecycle_zookeeper.options import Access, LayoutName, Options
from lifecycle_zookeeper.url import Address, Server, read_url

import lifecycle
from lifecycle.environment_variables import fill

A, B = Server("a", 2181), Server("b", 2182)
URLS = {
    "zookeeper://a": Address((A,)),
    "zookeeper://a:2181/": Address((A,)),
    "zookeeper://a,b:2182/shop/x": Address((A, B), path="/shop/x"),
    "zookeeper://[::1]:2182,a": Address((Server("::1", 2182), A)),
    "zookeeper://[fd00::7]": Address((Server("fd00::7", 2181),)),
    "zookeeper://u:p%40ss@a": Address((A,), user="u", password="p@ss"),
    "zookeeper://u@a": Address((A,), user="u"),
    "zookeeper://u:p:w@a": Address((A,), user="u", password="p:w"),
    "zookeepers://a/?namespace=shop": Address((A,), tls=True, namespace="shop"),
    "zookeeper://a/x?group=g&namespace=n": Address((A,), path="/x", namespace="n", group="g"),
}
WRONG = {
    "a:2181": "must be zookeeper://",
    "http://a": "The scheme is zookeeper, or zookeepers for TLS",
    "zookeeper://": "must be zookeeper://",
    "zookeeper://a,": "must be zookeeper://",
    "zookeeper://a,,b": "must be zookeeper://",
    "zookeeper://a:x": "A port is a number",
    "zookeeper://a:70000": "A port is a number",
    "zookeeper://a:0": "A port is a number",
    "zookeeper://::1": "in brackets",
    "zookeeper://[::1": "must be zookeeper://",
    "zookeeper://[::1]x": "must be zookeeper://",
    "zookeeper://[zz]": "must be zookeeper://",
    "zookeeper://[fe80::1%25eth0]": "must be zookeeper://",
    "zookeeper://ä": "must be zookeeper://",
    "zookeeper://a/x/": "The path is the path of a node",
    "zookeeper://a//x": "The path is the path of a node",
    "zookeeper://a/../x": "The path is the path of a node",
    "zookeeper://a/%00": "The path is the path of a node",
    "zookeeper://u%3A:p@a": "must not have a colon",
    "zookeeper://a?session=1": "may only have namespace and group",
    "zookeeper://a?group": "NAME=VALUE",
    "zookeeper://a?group=": "can be the name of a node",
    "zookeeper://a?group=..": "can be the name of a node",
    "zookeeper://a?group=x/y": "can be the name of a node",
    "zookeeper://a?group=x&group=y": "a name twice",
    "zookeeper://:p#w@a": "for example # as %23",
}


@pytest.mark.parametrize("text", URLS)
def test_a_url_is_read(text: str) -> None:
    assert read_url(text) == URLS[text]


@pytest.mark.parametrize("text", WRONG)
def test_a_wrong_url_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(WRONG[text])):
        read_url(text)


STARTS = ["", "zookeeper://", "zookeepers://u:s3cr3t@", "zookeeper://a?", "zookeeper://a/"]


@given(st.text(max_size=30), st.sampled_from(STARTS))
def test_any_text_is_read_or_refused(text: str, start: str) -> None:
    """No other error than ValueError, and the message never quotes the URL."""
    told = ""
    try:
        read_url(start + text)
    except ValueError as wrong:
        told = str(wrong)
    assert "s3cr3t" not in told


HOSTS = st.one_of(
    st.text("ab-._09AB:[]@,/?#%", max_size=8),
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map("[{}]".format),
)


@given(st.lists(st.tuples(HOSTS, st.integers(0, 70000)), min_size=1, max_size=3))
def test_kazoo_reads_the_same_servers(given_: list[tuple[str, int]]) -> None:
    """Whatever the URL has, kazoo connects to what we have read."""
    try:
        servers = read_url("zookeeper://" + ",".join(f"{h}:{p}" for h, p in given_)).servers
    except ValueError:
        return
    told, chroot = collect_hosts(",".join(map(str, servers)))
    assert [*map(Server._make, told)] == [Server(each.host.lower(), each.port) for each in servers]
    assert chroot is None


@given(st.text(string.printable, min_size=1, max_size=20))
def test_any_password_arrives(password: str) -> None:
    """Written as %XX."""
    quoted = "".join(f"%{byte:02X}" for byte in password.encode())
    assert read_url(f"zookeeper://u:{quoted}@a").password == password


@given(st.ip_addresses(v=6), st.integers(1, 65535))
def test_any_ipv6_address_is_read(address: Any, port: int) -> None:
    """In brackets, and shown in brackets again."""
    (server,) = read_url(f"zookeeper://[{address}]:{port}").servers
    assert str(server) == f"[{address}]:{port}"


OPTIONS: dict[str, tuple[dict[str, str], str]] = {
    "session": ({"SESSION": "1"}, "session=1.0: must be from 2 to 3600 seconds"),
    "no number": ({"SESSION": "nan"}, "session=nan: must be from 2 to 3600 seconds"),
    "patience": ({"CONNECT_TIMEOUT": "0"}, "connect_timeout=0.0: must be from 0.1 to 60 seconds"),
    "settle": ({"SETTLE": "-1"}, "settle=-1.0: must be from 0 to 3600 seconds"),
    "weight": ({"WEIGHT": "-1"}, "weight=-1: must be from 0 to 10000"),
    "application": ({"APPLICATION": "a/b"}, "application: must not have a slash or a comma"),
    "two passwords": (
        {"URL": "zookeeper://u:p@a", "PASSWORD_FILE": "/x"},
        "the url has a password too",
    ),
    "no user": ({"PASSWORD_FILE": "/x"}, "password_file: the url has no user"),
    "no creator": ({"ACCESS": "creator"}, "access=creator: needs a user in the url, or TLS"),
    "no TLS": ({"CA_FILE": "/x"}, "ca_file: the url must start with zookeepers://"),
    "half a certificate": (
        {"URL": "zookeepers://a", "KEY_FILE": "/x"},
        "certificate_file and key_file: set both",
    ),
    "layout": ({"LAYOUT": "spring"}, "must be plain or dubbo"),
    "access": ({"ACCESS": "all"}, "must be open, read or creator"),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_wrong_options_are_refused(name: str) -> None:
    """The variable is named, and the password never shown."""
    given_, message = OPTIONS[name]
    environ = {f"LIFECYCLE_ZOOKEEPER_{each}": value for each, value in given_.items()}
    environ.setdefault("LIFECYCLE_ZOOKEEPER_URL", "zookeeper://a")
    with pytest.raises(lifecycle.ConfigError) as raised:
        fill(Options, environ, plugin="zookeeper")
    assert message in str(raised.value)


def test_a_wrong_url_never_shows_its_password() -> None:
    with pytest.raises(lifecycle.ConfigError) as raised:
        fill(Options, {"LIFECYCLE_ZOOKEEPER_URL": "zookeeper://u:s3cr3t@a:x"}, plugin="zookeeper")
    assert "s3cr3t" not in str(raised.value)
    assert "s3cr3t" not in repr(Options(url="zookeeper://u:s3cr3t@a"))
    assert "s3cr3t" not in repr(Options(url="zookeeper://u:s3cr3t@a").address)


@pytest.mark.parametrize(
    ("given_", "notice", "rights"),
    [
        ({}, None, Access.OPEN),
        ({"layout": LayoutName.DUBBO}, 7.0, Access.OPEN),
        ({"layout": LayoutName.DUBBO, "settle": 30.0}, 30.0, Access.OPEN),
        ({"url": "zookeeper://u@a"}, None, Access.CREATOR),
        ({"url": "zookeeper://u@a", "access": Access.READ}, None, Access.READ),
        ({"url": "zookeeper://u@a", "access": Access.OPEN}, None, Access.OPEN),
    ],
)
def test_what_follows_from_the_options(
    given_: dict[str, Any], notice: float | None, rights: Access
) -> None:
    options = Options(**{"url": "zookeeper://a"} | given_)
    assert (options.notice, options.rights) == (notice, rights)
    assert options.enabled
    assert not Options().enabled
