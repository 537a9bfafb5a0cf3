"""What cannot be is refused when it is made, with a sentence that says what to write instead."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifecycle.testing import (
    BlockingKubelet,
    Container,
    Exec,
    HttpGet,
    Kubelet,
    PodSpec,
    Probe,
    Service,
    Sleep,
    TcpSocket,
)
from lifecycle.testing.http_get import headers_of
from tests.testing.test_service import Standing

TRUE = ["true"]
GET = HttpGet("http")


def container(**fields: Any) -> Container:
    return Container(**{"command": TRUE, **fields})


def pod(**fields: Any) -> PodSpec:
    return PodSpec(**{"container": container(), **fields})


def header(name: Any, value: Any) -> Callable[[], HttpGet]:
    return lambda: HttpGet(80, headers=[(name, value)])


WRONG_TYPES: list[tuple[Callable[[], object], str]] = [
    (lambda: HttpGet(80, headers={"X-Token": "t"}), "write list(headers.items())"),
    (lambda: HttpGet(80, headers="X-Token: t"), "must be a list of pairs"),
    (lambda: HttpGet(80, headers=["X-Token"]), "'X-Token' is not a pair"),
    (lambda: HttpGet(80, headers=[("X-Token", "t", "u")]), "is not a pair"),
    (header("X-Count", 5), "must be text, not 5: write '5'"),
    (header(b"X-Token", "t"), "each name in HttpGet.headers must be text"),
    (lambda: HttpGet(8080.0), "HttpGet.port must be a port's number or name"),
    (lambda: HttpGet(True), "HttpGet.port must be a port's number or name"),
    (lambda: HttpGet(None), "HttpGet.port must be a port's number or name"),
    (lambda: HttpGet(80, path=b"/"), "HttpGet.path must be text"),
    (lambda: HttpGet(80, host=127), "HttpGet.host must be text"),
    (lambda: TcpSocket([80]), "TcpSocket.port must be a port's number or name"),
    (lambda: Exec("true"), "Exec.command must be a list of words"),
    (lambda: Exec(b"true"), "Exec.command must be a list of words"),
    (lambda: Exec(["sleep", 5]), "each word of Exec.command must be text, not 5: write '5'"),
    (lambda: Exec({"true"}), "Exec.command must be a list of words"),
    (lambda: Sleep("5"), "Sleep.seconds must be a number of seconds, not '5'"),
    (lambda: Sleep(True), "Sleep.seconds must be a number of seconds"),
    (lambda: Probe(Sleep(1)), "Probe.handler must be of HttpGet or Exec or TcpSocket"),
    (lambda: Probe("/ready"), "Probe.handler must be of HttpGet or Exec or TcpSocket"),
    (lambda: Probe(GET, period="1"), "Probe.period must be a number of seconds"),
    (lambda: Probe(GET, failure_threshold=2.5), "must be a whole number"),
    (lambda: container(command="true"), "Container.command must be a list of words"),
    (lambda: container(env={"PORT": 8080}), "Container.env['PORT'] must be text, not 8080"),
    (lambda: container(env=[("PORT", "1")]), "Container.env must be a dict"),
    (lambda: container(ports=[80]), "Container.ports must be a dict"),
    (lambda: container(ports={"http": "80"}), "Container.ports['http'] must be a port's number"),
    (lambda: container(readiness=GET), "Container.readiness must be of Probe"),
    (lambda: container(pre_stop=TcpSocket(80)), "Container.pre_stop must be of HttpGet"),
    (lambda: container(pre_stop=["true"]), "Container.pre_stop must be of HttpGet"),
    (lambda: container(cwd=5), "Container.cwd must be text"),
    (lambda: container(pid_1="no"), "Container.pid_1 must be True or False"),
    (lambda: pod(container=TRUE), "PodSpec.container must be of Container"),
    (lambda: pod(grace_period="30"), "PodSpec.grace_period must be a number of seconds"),
    (lambda: pod(ip=1), "PodSpec.ip must be text"),
    (lambda: Kubelet(back_off="x"), "Kubelet.back_off must be a number of seconds, not 'x'"),
    (lambda: Kubelet(version=3), "Kubelet.version must be text, not 3"),
    (lambda: BlockingKubelet(3), "BlockingKubelet.kubelet must be of Kubelet, not 3"),
    (lambda: Service().add(Standing("a"), None), "Service.add: port must be a port's number"),
]

WRONG_VALUES: list[tuple[Callable[[], object], str]] = [
    (header("X-Token", "t\nX-Other: u"), "without a line break"),
    (header("X-Token", "t\r"), "without a line break"),
    (header("X-Token", " t"), "without blanks at its ends"),
    (header("X-Token", "tö"), "must be of ASCII"),
    (header("X Token", "t"), "each name in HttpGet.headers must be of letters"),
    (header("", "t"), "each name in HttpGet.headers must be of letters"),
    (header("X-Token:", "t"), "each name in HttpGet.headers must be of letters"),
    (lambda: HttpGet(80, headers=[("Host", "a"), ("host", "b")]), "cannot be sent"),
    (header("Content-Length", "many"), "cannot be sent"),
    (header("content-length", "5"), "cannot be sent, because a GET of the kubelet has no body"),
    (header("Transfer-Encoding", "chunked"), "cannot be sent"),
    (header("Trailer", "X"), "cannot be sent"),
    (lambda: HttpGet("²"), "must be a port's name"),
    (lambda: HttpGet("٣"), "must be a port's name"),
    (lambda: HttpGet(80, path="/a#b"), "must be without '#', which is written as %23"),
    (lambda: HttpGet(80, host="localhost:8080"), "must be a host's name or address"),
    (lambda: HttpGet(80, host="a:b:c"), "must be a host's name or address"),
    (lambda: HttpGet(80, host="-x"), "must be a host's name or address"),
    (lambda: HttpGet(80, host="a..b"), "must be a host's name or address"),
    (lambda: TcpSocket(80, host="a:80"), "must be a host's name or address"),
    (lambda: HttpGet(0), "must be a port from 1 to 65535"),
    (lambda: HttpGet(65536), "must be a port from 1 to 65535"),
    (lambda: HttpGet(-1), "must be a port from 1 to 65535"),
    (lambda: HttpGet("99999"), "must be a port from 1 to 65535"),
    (lambda: HttpGet(""), "must be a port's name"),
    (lambda: HttpGet("The Port"), "must be a port's name"),
    (lambda: HttpGet(80, path="/a b"), "others written as %20"),
    (lambda: HttpGet(80, path="/ä"), "others written as %20"),
    (lambda: HttpGet(80, path="/\r\n"), "others written as %20"),
    (lambda: HttpGet(80, host=""), "must be a host's name or address"),
    (lambda: HttpGet(80, host="http://a/"), "must be a host's name or address"),
    (lambda: HttpGet(80, scheme="HTTPS"), "must be one of 'http', 'https'"),
    (lambda: HttpGet(80, scheme="ftp"), "must be one of 'http', 'https'"),
    (lambda: Exec([]), "it must not be empty"),
    (lambda: Exec([""]), "names the program"),
    (lambda: Exec(["a\0b"]), "NUL"),
    (lambda: Exec(["echo", "\ud800"]), "must be text that can be encoded, without '\\ud800'"),
    (lambda: container(env={"A": "\ud800"}), "Container.env['A'] must be text that can be"),
    (lambda: container(cwd=""), "Container.cwd must be a folder, for example '.'"),
    (lambda: container(cwd=Path("\ud800")), "Container.cwd must be text that can be encoded"),
    (lambda: container(cwd=Path("a\0")), "NUL"),
    (lambda: Probe(GET, period=10**400), "Probe.period must be greater than 0 and finite"),
    (lambda: Service(10**400), "propagation: must be 0 <= earliest <= latest"),
    (lambda: Kubelet(back_off=-1), "Kubelet.back_off must be 0 or more"),
    (lambda: Kubelet(longest_back_off=math.nan), "Kubelet.longest_back_off must be 0 or more"),
    (lambda: Kubelet(version="1\n"), "Kubelet.version must be a version, for example '1.34'"),
    (lambda: Sleep(-1), "Sleep.seconds must be 0 or more"),
    (lambda: Sleep(math.nan), "Sleep.seconds must be 0 or more and finite"),
    (lambda: Sleep(math.inf), "Sleep.seconds must be 0 or more and finite"),
    (lambda: Probe(GET, timeout=math.nan), "Probe.timeout must be greater than 0"),
    (lambda: Probe(GET, period=-1), "Probe.period must be greater than 0"),
    (lambda: Probe(GET, initial_delay=math.inf), "Probe.initial_delay must be 0 or more"),
    (lambda: Probe(GET, success_threshold=0), "Probe.success_threshold must be greater than 0"),
    (lambda: Probe(GET, termination_grace_period=0), "must be greater than 0"),
    (lambda: container(command=[]), "it must not be empty"),
    (lambda: container(env={"A=B": "1"}), "must be without '='"),
    (lambda: container(env={"": "1"}), "must be without '='"),
    (lambda: container(env={"A": "1\0"}), "NUL"),
    (lambda: container(ports={"http": 65536}), "must be a port up to 65535"),
    (lambda: container(ports={"http": -1}), "must be a port up to 65535"),
    (lambda: container(ports={"my_port": 0}), "each name in Container.ports must be a port's name"),
    (lambda: container(ports={"123": 0}), "each name in Container.ports must be a port's name"),
    (lambda: container(ports={"a-very-long-name": 0}), "at most 15"),
    (lambda: container(name="The App"), "Container.name must be of at most 63"),
    (lambda: pod(name="../app"), "PodSpec.name must be of lower-case letters"),
    (lambda: pod(name=""), "PodSpec.name must be of lower-case letters"),
    (lambda: pod(grace_period=math.nan), "PodSpec.grace_period must be 0 or more"),
    (lambda: pod(restart_policy="always"), "must be one of 'Always', 'OnFailure', 'Never'"),
    (lambda: pod(ip="localhost"), "PodSpec.ip must be an IP address"),
    (lambda: pod(container=container(pre_stop=Sleep(31))), "not be longer than the grace period"),
    (lambda: Service().add(Standing("a"), 0), "must be a port from 1 to 65535"),
]


@pytest.mark.parametrize(("make", "says"), WRONG_TYPES)
def test_a_wrong_type_is_a_type_error(make: Callable[[], object], says: str):
    """It is refused when the spec is made, not in the middle of a test."""
    with pytest.raises(TypeError) as caught:
        make()
    assert says in str(caught.value)


@pytest.mark.parametrize(("make", "says"), WRONG_VALUES)
def test_a_wrong_value_is_a_value_error(make: Callable[[], object], says: str):
    """It is refused when the spec is made, not in the middle of a test."""
    with pytest.raises(ValueError) as caught:
        make()
    assert says in str(caught.value)


def test_what_can_be_is_taken(tmp_path: Path):
    """Names, numbers, addresses and headers as manifests hold them."""
    headers = [("X-Token", "a b\tc"), ("Host", "shop.example"), ("Accept", "")]
    for host in ("localhost", "a_b.Example.", "fe80::1%lo", "127.0.0.1"):
        assert TcpSocket(80, host=host).host == host
    get = HttpGet("my-web-2", "/ready?a=%20", host="::1", scheme="https", headers=headers)
    made = Container(
        ("true",),
        env={"A": "", "A.B-c": "ä"},
        ports={"my-web-2": 0, "8080-tcp": 65535},
        startup=Probe(TcpSocket("8080", host="shop.example"), period=1, initial_delay=0),
        readiness=Probe(get, success_threshold=2, timeout=0.5),
        pre_stop=Sleep(0),
        cwd=tmp_path,  # type: ignore[arg-type] # it is taken all the same
    )
    assert PodSpec(made, "shop-1.example", grace_period=0, ip="::1").container is made


@given(
    st.lists(
        st.tuples(
            st.text(st.characters(max_codepoint=300), max_size=8),
            st.text(st.characters(max_codepoint=300), max_size=8),
        ),
        max_size=3,
    ),
    st.text(max_size=5),
)
def test_what_is_taken_can_be_sent(headers: list[tuple[str, str]], path: str):
    """Whatever headers and path a spec takes, h11 makes a request of them."""
    try:
        get = HttpGet(80, f"/{path}", headers=headers)
    except ValueError:
        return
    made = headers_of(get, "kube-probe/1.34")
    host = [] if any(name.lower() == "host" for name, _ in made) else [("Host", "a")]
    request = h11.Request(method="GET", target=get.path, headers=[*host, *made])
    assert h11.Connection(h11.CLIENT).send(request)
