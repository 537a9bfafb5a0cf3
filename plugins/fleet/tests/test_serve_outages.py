"""The server and bad days of the API server: no gap, no storm, and the page says what is so."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from lifecycle_fleet.serve.streams import EVENTS

from plugins.fleet.tests import pods
from plugins.fleet.tests.api_server import ApiServer
from plugins.fleet.tests.serving import LATEST, Reader, Served, served
from tests.process.kit import wait_for

KINDS = ("pods", "endpointslices", "events")


@pytest.fixture
def server(api: ApiServer, tmp_path: Path) -> Iterator[Served]:
    """A server with one pod."""
    api.put("pods", pods.pod("a"))
    with served(api, tmp_path) as found:
        yield found


@pytest.fixture
def reader(server: Served) -> Iterator[Reader]:
    """A reader that has the snapshot."""
    with server.reader() as found:
        yield found.whole()


def lists(api: ApiServer) -> list[int]:
    """Return how many lists of each kind were requested."""
    return [api.lists(each) for each in KINDS]


def watches(api: ApiServer) -> int:
    """Return how many watches were requested so far."""
    return sum(each.verb == "watch" for each in api.asked)


def test_one_watch_a_kind(api: ApiServer, server: Served) -> None:
    """Whatever the number of readers, and no other request."""
    readers = [server.reader().whole() for _ in range(200)]
    api.put("pods", pods.pod("b"))
    for each in readers:
        each.until(lambda each=each: "shop/b" in each.pods)
        each.__exit__()

    assert api.watches == 3
    assert lists(api) == [1, 1, 1]
    assert len(api.asked) == 6
    assert {each.verb for each in api.asked} == {"list", "watch"}
    events = [each for each in api.asked if each.plural == "events"]
    assert {each.query["fieldSelector"] for each in events} == {"reason=FailedPreStopHook"}


def test_an_api_server_that_is_away(api: ApiServer, server: Served, reader: Reader) -> None:
    """The last view stays, and is said to be old. Then it goes on, without a list."""
    api.stop()
    reader.until(lambda: "pods" in reader.link)
    assert "API server: " in reader.link["pods"]
    assert server.ask("/pods.json").json()["pods"][0]["name"] == "a"
    assert server.ask("/healthz").status == 200
    assert 'watching{kind="pods"} 0.0' in server.ask("/metrics").text
    with server.reader() as late:
        assert late.whole().link.keys() == set(KINDS)

    api.put("pods", pods.pod("b"))
    api.delete("pods", "shop", "a")
    api.start()
    reader.until(lambda: reader.pods.keys() == {"shop/b"} and not reader.link)
    assert lists(api) == [1, 1, 1]
    logged = [each["event"] for each in server.app.events() if each["event"].startswith("watch")]
    assert sorted(logged) == ["watch lost"] * 3 + ["watch restored"] * 3
    assert server.app.status()["state"] == "ready"  # type: ignore[index]


def test_a_watch_that_has_expired(api: ApiServer, reader: Reader) -> None:
    """One list of each kind, and what has happened meanwhile is seen."""
    api.put("pods", pods.pod("b"))
    reader.until(lambda: "shop/b" in reader.pods)
    api.expire()
    api.delete("pods", "shop", "a")
    api.put("pods", pods.pod("c"))
    reader.until(lambda: reader.pods.keys() == {"shop/b", "shop/c"})
    wait_for(lambda: lists(api) == [2, 2, 2], LATEST, "one more list of each kind")

    assert reader.link == {}


def test_changes_while_the_history_is_lost(api: ApiServer, reader: Reader) -> None:
    """As after an etcd that was away for long: the new list says who is gone."""
    api.stop()
    api.delete("pods", "shop", "a")
    api.put("pods", pods.pod("b"))
    api.forget_history()
    api.start()
    reader.until(lambda: reader.pods.keys() == {"shop/b"} and not reader.link)

    assert lists(api) == [2, 2, 2]


def test_watches_that_end_politely(api: ApiServer, reader: Reader) -> None:
    """As every few minutes: no list, and nobody calls it stale."""
    for number in range(5):
        before = watches(api)
        api.end_watches()
        wait_for(lambda before=before: watches(api) == before + 3, LATEST, "three new watches")
        api.put("pods", pods.pod(f"b{number}"))
        reader.until(lambda number=number: f"shop/b{number}" in reader.pods)

    assert lists(api) == [1, 1, 1]
    assert reader.link == {}


def test_bookmarks(api: ApiServer, reader: Reader) -> None:
    """A watch that saw nothing for long goes on at the last bookmark, and needs no list."""
    api.put("services", {"metadata": {"namespace": "shop", "name": "x"}})
    api.put("services", {"metadata": {"namespace": "shop", "name": "y"}})
    api.bookmark()
    api.put("pods", pods.pod("b"))
    reader.until(lambda: "shop/b" in reader.pods)
    api.oldest = api.version - 1
    api.end_watches(reset=True)
    api.put("pods", pods.pod("c"))
    reader.until(lambda: "shop/c" in reader.pods)

    assert lists(api) == [1, 1, 1]


def test_no_storm(api: ApiServer, server: Served, reader: Reader) -> None:
    """An API server that refuses everything is asked less and less often."""
    api.forced["watch"] = 500
    api.end_watches(reset=True)
    before = len(api.asked)
    reader.until(lambda: len(reader.link) == 3)
    wait_for(lambda: len(api.asked) >= before + 9, LATEST, "some tries")

    assert lists(api) == [1, 1, 1]
    refused = server.app.events("watch lost")
    assert len(refused) == 3  # and not one line a try


def test_a_token_that_is_rotated(api: ApiServer, tmp_path: Path) -> None:
    """As that of a service account: the new one is read from its file, and nothing is lost."""
    token = tmp_path / "token"
    token.write_text("first")
    api.token = "first"
    api.put("pods", pods.pod("a"))
    folder = tmp_path / "account"
    folder.mkdir()
    kubeconfig = api.kubeconfig(folder, namespace="shop", tokenFile=str(token))
    words = ("--kubeconfig", str(kubeconfig))
    with served(api, tmp_path, *words) as server, server.reader() as reader:
        reader.whole()
        api.token = "second"
        token.write_text("second")
        api.end_watches(reset=True)
        api.put("pods", pods.pod("b"))
        reader.until(lambda: "shop/b" in reader.pods)
    assert lists(api) == [1, 1, 1]


def test_pods_that_may_not_be_listed(api: ApiServer, tmp_path: Path) -> None:
    """There is nothing to show, so the start fails, and says which right is missing."""
    api.forced["list pods"] = 403
    with served(api, tmp_path, ready=False) as server:
        assert server.app.wait() == 1
    assert "API server: forbidden: pods is forbidden" in server.app.stderr
    assert "errors.md#fleet-api-server" in server.app.stderr


def test_an_api_server_that_is_away_at_the_start(tmp_path: Path) -> None:
    """It is asked again, and the start goes on when it is there."""
    with ApiServer() as api:
        api.put("pods", pods.pod("a"))
        api.stop()
        with served(api, tmp_path, ready=False) as server:
            wait_for(lambda: server.app.events("watch lost"), LATEST, "a line in the log")
            api.start()
            server.app.wait_state("ready")
            assert server.ask("/pods.json").json()["pods"]


def test_parts_that_may_not_be_listed(api: ApiServer, tmp_path: Path) -> None:
    """They are left out, which the log and the page say."""
    api.forced |= {"list events": 403, "list endpointslices": 403}
    api.put("pods", pods.pod("a"))
    with served(api, tmp_path) as server, server.reader() as reader:
        _, about = reader.next()
        assert sorted(about["missing"]) == ["endpointslices", "events"]
        pod = reader.whole().pods["shop/a"]
        assert (pod["in_slices"], pod["hook_failed"]) == ("?", None)
        assert [each["kind"] for each in server.app.events("watch not allowed")] == [
            "endpointslices",
            "events",
        ]
        assert 'watching{kind="events"} 0.0' in server.ask("/metrics").text
    assert lists(api) == [1, 1, 1]


def test_an_odd_object_harms_no_other_one(api: ApiServer, tmp_path: Path) -> None:
    """Whatever a future API server sends."""
    odd = pods.pod("odd")
    odd["status"]["containerStatuses"] = [{"restartCount": "many", "state": 7}]
    api.put("pods", odd)
    api.put("pods", pods.pod("a"))
    api.put("endpointslices", pods.piece({"a": True}) | {"endpoints": [7]})
    with served(api, tmp_path) as server, server.reader() as reader:
        assert "shop/a" in reader.whole().pods
        api.put("pods", pods.pod("b"))
        reader.until(lambda: "shop/b" in reader.pods)
        wait_for(lambda: server.app.events("watch failed"), LATEST, "it is logged")


def test_tokens(api: ApiServer, tmp_path: Path) -> None:
    """With `--auth token` the data needs one, and the page does not."""
    api.review = lambda kind, spec: (
        {"authenticated": spec["token"] == "good", "user": {"username": "ada"}}
        if kind == "TokenReview"
        else {"allowed": True}
    )
    with served(api, tmp_path, "--auth", "token") as server:
        assert server.ask("/").status == server.ask("/healthz").status == 200
        for path in ("/pods.json", "/events", "/metrics"):
            refused = server.ask(path)
            assert (refused.status, refused.headers["www-authenticate"]) == (401, "Bearer")
            assert server.ask(path, Authorization="Bearer wrong").status == 401
            good = {"Authorization": "Bearer good", "Accept": f"{EVENTS}, */*"}
            assert server.ask(path, "HEAD", **good).status == 200
        api.stop()
        assert server.ask("/metrics", Authorization="Bearer good").status == 200
        away = server.ask("/metrics", Authorization="Bearer other")
        assert (away.status, away.headers["retry-after"]) == (503, "2")
        wait_for(lambda: server.app.events("review failed"), LATEST, "it is logged")
        assert "good" not in json.dumps(server.app.events())
