"""The server as a real process: its paths, and what a hostile client gets."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lifecycle_fleet.serve.streams import EVENTS

from plugins.fleet.tests import pods
from plugins.fleet.tests.api_server import ApiServer
from plugins.fleet.tests.serving import LATEST, Served, served
from tests.process.kit import wait_for

GUARDED = ("/pods.json", "/events", "/metrics")
PATHS = ("/", "/healthz", *GUARDED)


@pytest.fixture(scope="module")
def api() -> Iterator[ApiServer]:
    """An API server with three pods."""
    with ApiServer() as server:
        for name in ("orders-5f-a", "orders-5f-b"):
            server.put("pods", pods.pod(name))
        server.put("pods", pods.pod("mail-0", "post", workload=("StatefulSet", "mail")))
        server.put("pods", pods.pod("foreign-5f-a", annotation=None))
        yield server


@pytest.fixture(scope="module")
def server(api: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server of all namespaces, for tests that change nothing."""
    with served(api, tmp_path_factory.mktemp("served"), "-A") as found:
        yield found


def names(body: Any) -> list[str]:
    """Return the names of the pods in an answer."""
    return [each["name"] for each in body["pods"]]


def test_pods_as_json(server: Served) -> None:
    """All pods with pod-lifecycle, by namespace and name."""
    answer = server.ask("/pods.json")

    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert names(answer.json()) == ["mail-0", "orders-5f-a", "orders-5f-b"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("namespace=post", ["mail-0"]),
        ("namespace=shop&workload=deploy%2Forders", ["orders-5f-a", "orders-5f-b"]),
        ("workload=sts/mail", ["mail-0"]),
        ("namespace=other", []),
        ("namespace=", []),
        ("", ["mail-0", "orders-5f-a", "orders-5f-b"]),
    ],
)
def test_some_pods_as_json(server: Served, query: str, found: list[str]) -> None:
    """Those of a namespace, or of a workload."""
    assert names(server.ask(f"/pods.json?{query}").json()) == found


@pytest.mark.parametrize(
    "query", ["namespace=a&namespace=b", "pod=x", "x", "%FF=1", "&" * 30 + "a=b", "a=1&" * 30]
)
def test_a_query_that_is_not_known(server: Served, query: str) -> None:
    """It is refused, because an answer with all pods would be wrong."""
    answer = server.ask(f"/pods.json?{query}")

    assert answer.status == 400
    assert answer.text == "The query may have namespace=NAME and workload=NAME only.\n"


def test_the_page_has_no_data(server: Served) -> None:
    """It is the same for everybody, and a browser asks only whether it is new."""
    page = server.ask("/")
    again = server.ask("/", **{"If-None-Match": page.headers["etag"]})

    assert page.status == 200
    assert "orders-5f" not in page.text
    assert "script-src 'sha256-" in page.headers["content-security-policy"]
    assert (again.status, again.body) == (304, b"")


def test_metrics(server: Served) -> None:
    """In the format that a scraper accepts."""
    line = 'pod_lifecycle_fleet_pods_ready{namespace="shop",workload="deploy/orders"} 2.0'
    assert line in server.ask("/metrics").text.splitlines()
    open_metrics = server.ask("/metrics", Accept="application/openmetrics-text")
    assert open_metrics.headers["content-type"].startswith("application/openmetrics-text")
    assert open_metrics.text.endswith("# EOF\n")


def test_a_stream(server: Served) -> None:
    """It begins with what the page needs to know, and has whole pods."""
    with server.reader() as reader:
        name, about = reader.next()
        assert name == "begin"
        assert (about["namespace"], about["link"], about["missing"]) == ("", {}, [])
        reader.whole()
        assert reader.pods.keys() == {"post/mail-0", "shop/orders-5f-a", "shop/orders-5f-b"}
        assert reader.answer.headers["content-type"] == "text/event-stream"
        assert reader.answer.headers["x-accel-buffering"] == "no"


@pytest.mark.parametrize("path", PATHS)
def test_head(server: Served, path: str) -> None:
    """The head of the answer to a GET, and nothing else."""
    answer = server.ask(path, "HEAD", Accept=f"{EVENTS}, */*")

    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "ODD"])
def test_nothing_can_be_changed(server: Served, path: str, method: str) -> None:
    """Other methods are refused, and the answer says which ones are not."""
    answer = server.ask(path, method)

    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    "path", ["/x", "/pods", "/pods.json/", "//", "/%2e%2e/etc/passwd", "/events%00", "/%c3%a9"]
)
def test_other_paths(server: Served, path: str) -> None:
    """There are none."""
    assert server.ask(path).status == 404


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "", "localhost.evil"]
)
def test_a_foreign_name_that_points_here(server: Served, host: str) -> None:
    """As by DNS rebinding: the page of somebody else must not read the pods."""
    for path in PATHS:
        answer = server.ask(path, Host=host)
        assert (answer.status, answer.text) == (
            421,
            "Open the page at localhost, or at an IP address.\n",
        )


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8080", "127.0.0.1", "[::1]:8080", "LOCALHOST."]
)
def test_own_names(server: Served, host: str) -> None:
    """As kubectl port-forward and a browser use them."""
    assert server.ask("/pods.json", Host=host).status == 200


@pytest.mark.parametrize(
    "head",
    [
        b"GET /pods.json HTTP/1.1\r\nHost: localhost\r\nAccept: \xff\xfe\r\n\r\n",
        b"GET /events HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: \xff-1\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept: ;;q=x,\x7f\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept: " + b"a;q=" * 2000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: " + b'"' * 3000 + b"\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET http://[ HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\0" * 300 + b"\r\n\r\n",
    ],
    ids=lambda head: repr(head[:40]),
)
def test_odd_requests(server: Served, head: bytes) -> None:
    """Each gets an answer or an end, and the server goes on."""
    with socket.create_connection(("127.0.0.1", server.port), LATEST) as client:
        client.sendall(head)
        assert not client.recv(100).startswith(b"HTTP/1.1 5")
    assert server.ask("/healthz").text == "ok\n"


def test_a_websocket_is_refused(server: Served) -> None:
    """There is nothing to talk about."""
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version": "13",
    }
    assert server.ask("/events", **upgrade).status == 403


def test_one_namespace(tmp_path: Path) -> None:
    """That of the context, or of `-n`, and no request is for another one."""
    with ApiServer() as api:
        api.put("pods", pods.pod("a"))
        api.put("pods", pods.pod("b", "post"))
        with served(api, tmp_path) as server:
            assert names(server.ask("/pods.json").json()) == ["a"]
        assert {each.namespace for each in api.asked} == {"shop"}
        with served(api, tmp_path, "-n", "post") as server:
            assert names(server.ask("/pods.json").json()) == ["b"]


def test_labels_and_all_pods(tmp_path: Path) -> None:
    """`-l` and `--all`, as `ls` has them."""
    with ApiServer() as api:
        api.put("pods", pods.pod("a-5f-x"))
        api.put("pods", pods.pod("b-5f-x"))
        api.put("pods", pods.pod("c-5f-x", annotation=None))
        with served(api, tmp_path, "-l", "app in (a-5f, c-5f)", "--all") as server:
            assert names(server.ask("/pods.json").json()) == ["a-5f-x", "c-5f-x"]


def test_a_change_is_seen(tmp_path: Path) -> None:
    """By all readers, and in the JSON: a pod, a slice, an event, an end."""
    with ApiServer() as api:
        pod = api.put("pods", pods.pod("a"))
        with served(api, tmp_path) as server, server.reader() as one, server.reader() as other:
            for reader in (one.whole(), other.whole()):
                assert reader.pods["shop/a"]["in_slices"] == "-"
            api.put("endpointslices", pods.piece({"a": True}))
            api.put("pods", pods.pod("b"))
            for reader in (one, other):
                reader.until(lambda reader=reader: "shop/b" in reader.pods)
                reader.until(lambda reader=reader: reader.pods["shop/a"]["in_slices"] == "yes")
            api.put("events", pods.hook_failed(pod, pods.NOW + 10**9))
            one.until(lambda: one.pods["shop/a"]["problem"] == "the preStop hook failed")
            api.put("pods", pods.pod("b", state="ended 137", deleted=pods.NOW))
            api.delete("pods", "shop", "b")
            one.until(lambda: one.ends)
            assert "shop/b" not in one.pods
            assert (one.ends[0]["name"], one.ends[0]["how"]) == ("b", "killed")
            assert names(server.ask("/pods.json").json()) == ["a"]


def test_hostile_names(tmp_path: Path) -> None:
    """What a pod tells is text, and stays JSON, one line of the stream, and a label."""
    evil = "</script><img src=x onerror=alert(1)>\n\ndata: x\r\x1b[31m\u202e"
    with ApiServer() as api:
        api.put("pods", pods.pod("a", annotation=pods.told(cause=evil, online=[evil])))
        api.put("pods", pods.pod("b", workload=("Odd", evil)))
        with served(api, tmp_path) as server, server.reader() as reader:
            found = server.ask("/pods.json").json()["pods"]
            reader.whole()
            assert list(reader.pods.values()) == found
            assert "\n" not in found[0]["told"]["cause"]
            assert "<img src=x onerror=alert(1)>" in found[1]["workload"]
            assert server.ask("/metrics").status == 200


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("text/event-stream", 200),
        ("application/json, Text/Event-Stream;q=0.5", 200),
        ("*/*", 406),
        ("text/event-streams", 406),
    ],
)
def test_a_stream_must_be_asked_for(server: Served, accept: str, status: int) -> None:
    """Otherwise the drain could not know that it has no end."""
    with server.reader(Accept=accept) as reader:
        assert reader.answer.status == status
        if status == 406:
            assert reader.answer.read().endswith(b"Send the header Accept: text/event-stream.\n")


def test_a_drain(tmp_path: Path) -> None:
    """Streams end soon and whole, also those whose reader does not read, and the exit is clean."""
    with ApiServer() as api:
        api.put("pods", pods.pod("a"))
        with served(api, tmp_path) as server, server.reader() as reader, server.reader() as other:
            reader.whole()
            seconds = server.app.stop()
            for each in (reader, other):
                each.answer.read()  # or it raises IncompleteRead
        assert seconds < 5
        report = server.app.events("drain report")[0]
        assert "cut" not in json.dumps(report)


def test_ready_comes_with_the_first_lists(tmp_path: Path) -> None:
    """Before, nobody gets half of the pods."""
    with ApiServer() as api:
        api.put("pods", pods.pod("a"))
        api.delay = 1.0
        with served(api, tmp_path, ready=False) as server:
            wait_for(lambda: api.asked, LATEST, "a request")
            with pytest.raises(ConnectionRefusedError):
                server.ask("/pods.json")
            assert server.app.wait_state("starting")["state"] == "starting"
            api.delay = 0.0
            server.app.wait_state("ready")
            assert names(server.ask("/pods.json").json()) == ["a"]


def test_streams_have_a_limit(tmp_path: Path) -> None:
    """Beyond it, a reader is told to come again, and the others go on."""
    with ApiServer() as api, served(api, tmp_path) as server:
        api.put("pods", pods.pod("a"))
        readers = [server.reader() for _ in range(500)]
        for each in readers:
            each.whole()
        answer = server.ask("/events", Accept=EVENTS)
        assert (answer.status, answer.headers["retry-after"]) == (503, "5")
        api.put("pods", pods.pod("b"))
        readers[499].until(lambda: "shop/b" in readers[499].pods)
        for each in readers:
            each.__exit__()

        def again() -> bool:
            try:
                return server.ask("/events", "HEAD", Accept=EVENTS).status == 200
            except http.client.HTTPException:
                return False

        wait_for(again, LATEST, "room for a reader")
