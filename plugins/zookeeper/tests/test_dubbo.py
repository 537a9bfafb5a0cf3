"""What the layout `dubbo` writes, without a server."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, unquote_plus, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifecycle_zookeeper.application import application_node, mapped, metadata_of
from lifecycle_zookeeper.dubbo import Provider, interface_node, provider_of
from lifecycle_zookeeper.paths import is_path

import lifecycle

STARTED = 1795867200000
GREETER = "com.acme.Greeter"


def instance(name: str = GREETER, port: int | None = 50051, **given: Any) -> lifecycle.Instance:
    host = given.pop("host", "10.0.0.7")
    return lifecycle.Instance(name, host, port, f"pod/{name}", **given)


def provider(name: str = GREETER, **given: Any) -> Provider:
    return provider_of(instance(name, **given), application="shop")


def url_of(path: str) -> str:
    return unquote_plus(path.rpartition("/")[2])


def test_the_node_of_an_interface() -> None:
    """Byte by byte, with the keys of a provider of Dubbo, sorted, and encoded once as a whole."""
    node = interface_node(
        provider(metadata={"methods": "SayHello", "release": "3.3.1"}), "/dubbo", STARTED
    )
    assert node.path == (
        "/dubbo/com.acme.Greeter/providers/"
        "tri%3A%2F%2F10.0.0.7%3A50051%2Fcom.acme.Greeter%3Fapplication%3Dshop%26deprecated%3Dfalse"
        "%26dubbo%3D2.0.2%26dynamic%3Dtrue%26generic%3Dfalse%26interface%3Dcom.acme.Greeter"
        "%26methods%3DSayHello%26release%3D3.3.1%26service-name-mapping%3Dtrue%26side%3Dprovider"
        "%26timestamp%3D1795867200000%26weight%3D100"
    )
    assert node.data == b"10.0.0.7"


def test_a_provider_that_leaves_is_the_same_one_with_the_weight_0() -> None:
    """Clients keep the connection, because host, port and everything else are the same."""
    one = provider(metadata={"weight": "50"})
    here = url_of(interface_node(one, "/dubbo", STARTED).path)
    leaving = url_of(interface_node(one, "/dubbo", STARTED, leaving=True).path)
    assert here.replace("weight=50", "weight=0") == leaving != here


def test_metadata_are_parameters_and_replace_nothing_of_ours() -> None:
    given_ = {"weight": "50", "side": "consumer", "timestamp": "1", "empty": "", "timeout": "500"}
    one = provider(metadata=given_ | {"group": "g"}, version="1.0", protocol="grpc")
    url = urlsplit(url_of(interface_node(one, "/dubbo", STARTED).path))
    asked = {name: value for name, (value,) in parse_qs(url.query).items()}
    assert (url.scheme, url.netloc, url.path) == ("grpc", "10.0.0.7:50051", f"/{GREETER}")
    assert list(asked) == sorted(asked)
    assert asked["weight"] == "50"
    assert asked["side"] == "provider"
    assert asked["timestamp"] == str(STARTED)
    assert (asked["group"], asked["version"], asked["timeout"]) == ("g", "1.0", "500")
    assert "empty" not in asked


def test_an_ipv6_address_is_in_brackets() -> None:
    node = interface_node(provider(host="fd00::7"), "/dubbo", STARTED)
    assert url_of(node.path).startswith(f"tri://[fd00::7]:50051/{GREETER}?")


@pytest.mark.parametrize(
    ("metadata", "option", "application"),
    [({}, "", GREETER), ({}, "shop", "shop"), ({"application": "own"}, "shop", "own")],
)
def test_the_name_of_the_application(
    metadata: dict[str, str], option: str, application: str
) -> None:
    one = provider_of(instance(metadata=metadata), application=option)
    assert one.application == one.parameters["application"] == application


def test_a_service_without_a_port_is_refused() -> None:
    with pytest.raises(lifecycle.RegistrationRefused, match="has no port"):
        provider_of(instance(port=None))


REFUSED = [
    {"a": "b&c=d"},
    {"a": "b?c"},
    {"appid": "1"},
    {"my-timestamp": "1"},
    {"a b": "c"},
    {"a": "\x1b"},
    {"weight": "heavy"},
    {"weight": "-1"},
    {"application": "a/b"},
    {"application": "a,b"},
]


@pytest.mark.parametrize("wrong", REFUSED)
def test_metadata_that_would_break_the_url_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(lifecycle.RegistrationRefused, match="cannot be a part of the URL"):
        provider_of(instance(metadata=wrong))


def test_metadata_that_are_too_long_for_a_path_are_refused() -> None:
    with pytest.raises(lifecycle.RegistrationRefused, match="10001 characters are too many"):
        provider_of(instance(metadata={"x": "y" * 10_000}))


@given(st.dictionaries(st.text(min_size=1, max_size=8), st.text(max_size=8), max_size=4))
def test_any_metadata_is_written_or_refused(metadata: dict[str, str]) -> None:
    """What is written is a name that ZooKeeper takes, and clients read each value from it."""
    try:
        one = provider(metadata=metadata)
    except lifecycle.RegistrationRefused:
        return
    node = interface_node(one, "/dubbo", STARTED)
    assert is_path(node.path)
    pairs = dict(each.split("=") for each in url_of(node.path).partition("?")[2].split("&"))
    for name, value in metadata.items():
        assert pairs.get(name, value) == value or name in ("interface", "side", "dubbo", "dynamic")


KEYS = {
    "com.acme.Greeter:tri": {},
    "g/com.acme.Greeter:tri": {"metadata": {"group": "g"}},
    "com.acme.Greeter:1.0:tri": {"version": "1.0"},
    "g/com.acme.Greeter:1.0:grpc": {
        "metadata": {"group": "g"},
        "version": "1.0",
        "protocol": "grpc",
    },
}


@pytest.mark.parametrize("key", KEYS)
def test_the_key_of_a_service(key: str) -> None:
    assert provider(**KEYS[key]).key == key


def test_the_metadata_of_an_application() -> None:
    """As clients read them: `params` are there, `path` is the interface, and absent is null."""
    revision, data = metadata_of("shop", [provider(metadata={"methods": "SayHello"})])
    told = json.loads(data)
    service = told["services"].pop(f"{GREETER}:tri")
    params = service.pop("params")
    assert told == {"app": "shop", "revision": revision, "services": {}}
    assert service == {
        "name": GREETER,
        "group": None,
        "version": None,
        "protocol": "tri",
        "port": 50051,
        "path": GREETER,
    }
    assert params["side"] == "provider"
    assert params["methods"] == "SayHello"
    assert all(isinstance(each, str) for each in params.values())


def test_the_revision_is_the_same_on_all_pods() -> None:
    """Neither the host, nor the weight, nor the order is a part of it."""
    a, b = provider("a"), provider("b")
    there = [provider("b", host="10.0.0.8"), provider("a", host="10.0.0.8")]
    light = [provider("a", metadata={"weight": "1"}), b]
    assert metadata_of("shop", [a, b])[0] == metadata_of("shop", there)[0]
    assert metadata_of("shop", [a, b])[0] == metadata_of("shop", light)[0]


@pytest.mark.parametrize(
    "other",
    [
        provider(version="2"),
        provider(port=1),
        provider(protocol="grpc"),
        provider("x"),
        provider(metadata={"methods": "x"}),
    ],
)
def test_other_services_have_another_revision(other: Provider) -> None:
    """Clients cache by the revision alone, on the disk too."""
    assert metadata_of("shop", [other])[0] != metadata_of("shop", [provider()])[0]
    assert metadata_of("shop", [provider()])[0] != metadata_of("other", [provider()])[0]


def test_the_node_of_an_application() -> None:
    """The form of Curator's service discovery, with the class that Dubbo looks for."""
    node = application_node("/services", [provider(), provider("b")], "r1", STARTED)
    assert node.path == "/services/shop/10.0.0.7:50051"
    assert node.data.decode() == (
        '{"name":"shop","id":"10.0.0.7:50051","address":"10.0.0.7","port":50051,"sslPort":null,'
        '"payload":{"@class":"org.apache.dubbo.registry.zookeeper.ZookeeperInstance",'
        '"id":"10.0.0.7:50051","name":"shop","metadata":{'
        '"dubbo.endpoints":"[{\\"port\\":50051,\\"protocol\\":\\"tri\\"}]",'
        '"dubbo.metadata.revision":"r1","dubbo.metadata.storage-type":"remote",'
        '"timestamp":"1795867200000","weight":"100"}},'
        '"registrationTimeUTC":1795867200000,"serviceType":"DYNAMIC","uriSpec":null}'
    )
    assert node.is_same_address(node.data)
    other = application_node("/services", [provider(host="10.0.0.8")], "r1", STARTED)
    assert not node.is_same_address(other.data)
    assert not node.is_same_address(b"theirs")


NAMES = st.text("abc", min_size=1, max_size=3)


@given(st.lists(NAMES, unique=True, max_size=4), NAMES)
def test_an_application_is_added_to_a_mapping_once(names: list[str], name: str) -> None:
    """Names of others stay, in their order."""
    told = mapped(",".join(names).encode(), name)
    if name in names:
        assert told is None
    else:
        assert told == ",".join([*names, name]).encode()
        assert mapped(told, name) is None
