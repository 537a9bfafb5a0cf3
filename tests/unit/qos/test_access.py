"""Who may call what on the QOS port."""

from __future__ import annotations

import pytest

from lifecycle.contracts import Level
from lifecycle.qos.access import Access, Caller

PUBLIC, PROTECTED, PRIVATE = Level.PUBLIC, Level.PROTECTED, Level.PRIVATE
TOKEN = "correct-horse-battery"
HOST = {"host": "127.0.0.1:22222"}


def level(
    peer: str = "127.0.0.1",
    local: str | None = None,
    access: Access | None = None,
    *,
    unix: bool = False,
    **headers: str,
) -> Level:
    """Return the level of a caller; a header's underscores are dashes."""
    given = HOST | {name.replace("_", "-"): value for name, value in headers.items()}
    caller = Caller(peer, peer if local is None else local, unix, given)
    return (access or Access()).level(caller)


@pytest.mark.parametrize(
    ("peer", "local", "wanted"),
    [
        ("127.0.0.1", "127.0.0.1", PROTECTED),
        ("::1", "::1", PROTECTED),
        ("::ffff:127.0.0.1", "::ffff:127.0.0.1", PROTECTED),
        ("::ffff:127.0.0.1", "127.0.0.1", PROTECTED),
        ("127.0.0.6", "127.0.0.6", PUBLIC),
        ("127.0.0.6", "127.0.0.1", PUBLIC),
        ("::ffff:127.0.0.6", "::ffff:127.0.0.1", PUBLIC),
        ("127.0.0.1", "127.0.0.6", PUBLIC),
        ("127.0.0.1", "10.0.0.7", PUBLIC),
        ("10.0.0.7", "10.0.0.7", PUBLIC),
        ("10.0.0.1", "10.0.0.7", PUBLIC),
        ("::1", "127.0.0.1", PUBLIC),
        ("fe80::1%eth0", "fe80::1%eth0", PUBLIC),
        ("", "", PUBLIC),
        ("nonsense", "nonsense", PUBLIC),
        ("0.0.0.0", "0.0.0.0", PUBLIC),
    ],
)
def test_addresses(peer: str, local: str, wanted: Level) -> None:
    """PROTECTED is exactly loopback, speaking to that same address."""
    assert level(peer, local) is wanted


@pytest.mark.parametrize(
    "header",
    [
        "forwarded",
        "via",
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-forwarded-client-cert",
        "x-envoy-internal",
        "x-envoy-attempt-count",
        "x-real-ip",
        "x-proxyuser-ip",
        "true-client-ip",
        "cf-connecting-ip",
    ],
)
def test_a_proxys_headers(header: str) -> None:
    """A mesh's passthrough comes from loopback too: its headers give it away, even empty ones."""
    assert level(**{header: ""}) is PUBLIC
    assert level(**{header: "10.0.0.1"}) is PUBLIC
    allowed = Access(["127.0.0.1"])
    assert level(access=allowed, **{header: "10.0.0.1"}) is PROTECTED


@pytest.mark.parametrize(
    ("allow", "peer", "wanted"),
    [
        (["10.0.0.0/8"], "10.1.2.3", PROTECTED),
        (["10.0.0.0/8"], "::ffff:10.1.2.3", PROTECTED),
        (["10.0.0.0/8"], "11.1.2.3", PUBLIC),
        (["10.0.0.0/8"], "::10.1.2.3", PUBLIC),
        (["10.1.2.3"], "10.1.2.3", PROTECTED),
        (["10.1.2.99/24"], "10.1.2.3", PROTECTED),
        (["2001:db8::/32"], "2001:db8::7", PROTECTED),
        (["2001:db8::/32"], "10.1.2.3", PUBLIC),
        (["fe80::/10"], "fe80::1%eth0", PROTECTED),
        (["::/0"], "10.1.2.3", PUBLIC),
        (["0.0.0.0/0", "::/0"], "10.1.2.3", PROTECTED),
        (["127.0.0.6"], "127.0.0.6", PROTECTED),
    ],
)
def test_qos_allow(allow: list[str], peer: str, wanted: Level) -> None:
    """An address in `qos_allow` is PROTECTED; a mapped IPv4 address is the IPv4 address."""
    assert level(peer, "192.0.2.7", Access(allow)) is wanted


def test_the_unix_socket_is_private() -> None:
    """The socket inside the container is PRIVATE; a web page's request over it is not."""
    assert level("", "", unix=True) is PRIVATE
    assert level("", "", unix=True, host="localhost") is PRIVATE
    assert level("", "", unix=True, origin="http://evil.example") is PUBLIC


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (TOKEN, PRIVATE),
        (TOKEN + "x", PUBLIC),
        (TOKEN[:-1], PUBLIC),
        (TOKEN.upper(), PUBLIC),
        ("", PUBLIC),
        ("\xff" * len(TOKEN), PUBLIC),
    ],
)
def test_the_token(given: str, wanted: Level) -> None:
    """The token makes anyone PRIVATE; what resembles it does not."""
    access = Access(token=TOKEN)
    assert level("10.0.0.1", "10.0.0.7", access, x_lifecycle_token=given) is wanted


@pytest.mark.parametrize(
    ("headers", "unix", "wanted"),
    [
        ({}, False, False),
        ({"x-lifecycle": "1"}, False, True),
        ({"x-lifecycle": "no"}, False, True),
        ({"x-lifecycle": ""}, False, False),
        ({"x-lifecycle": " "}, False, False),
        ({"x-lifecycle-token": TOKEN}, False, True),
        ({"x-lifecycle-token": "another"}, False, False),
        ({"x-lifecycle-else": "1"}, False, False),
        ({}, True, True),
    ],
)
def test_who_means_a_change(headers: dict[str, str], unix: bool, wanted: bool) -> None:
    """A change wants X-Lifecycle, or the token, or the socket, wherever it comes from."""
    access = Access(["0.0.0.0/0"], TOKEN)
    for peer in ("127.0.0.1", "10.0.0.7"):
        caller = Caller("" if unix else peer, peer, unix, HOST | headers)
        assert access.means_it(caller) is wanted


def test_without_a_token_none_is_accepted() -> None:
    """An empty header is not the token that is not set."""
    assert level("10.0.0.1", "10.0.0.7", x_lifecycle_token="") is PUBLIC
    assert level("10.0.0.1", "10.0.0.7", x_lifecycle_token="None") is PUBLIC


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.1:22222",
        "10.0.0.7:22222",
        "localhost",
        "localhost:22222",
        "LOCALHOST:1",
        "[::1]",
        "[::1]:22222",
        "[fe80::1%25eth0]:22222",
        "::1",
    ],
)
def test_a_host_that_is_an_address(host: str) -> None:
    """Who names us by an address, or as localhost, has looked nobody up."""
    assert level(host=host) is PROTECTED
    assert level("", "", unix=True, host=host) is PRIVATE


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "evil.example:22222",
        "localhost.evil.example",
        "localhost.evil.example:22222",
        "127.0.0.1.evil.example",
        "127.0.0.1.nip.io:22222",
        "127.0.0.1%.evil.example",
        "[::1].evil.example",
        "[::1]evil",
        "[evil.example]:22222",
        "[",
        ":22222",
        "0x7f.1",
        "orders.default.svc:22222",
    ],
)
def test_a_host_that_is_a_name(host: str) -> None:
    """A name may have been rebound: nothing above PUBLIC, over no way in, with no token."""
    everything = Access(["0.0.0.0/0"], TOKEN)
    assert level(host=host) is PUBLIC
    assert level(access=everything, host=host, x_lifecycle_token=TOKEN) is PUBLIC
    assert level("", "", unix=True, host=host) is PUBLIC


def test_no_host_at_all() -> None:
    """HTTP/1.0 without a Host is PUBLIC."""
    assert Access().level(Caller("127.0.0.1", "127.0.0.1", False, {})) is PUBLIC


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:22222", ""])
def test_any_origin(origin: str) -> None:
    """What a web page sends is PUBLIC, whoever has served the page."""
    access = Access(["0.0.0.0/0"], TOKEN)
    assert level(access=access, origin=origin, x_lifecycle_token=TOKEN) is PUBLIC


def test_the_caller_in_the_log() -> None:
    """A change is logged with its caller: an address, or the socket."""
    assert str(Caller("10.0.0.1", "", False, {})) == "10.0.0.1"
    assert str(Caller("", "", True, {})) == "unix socket"
