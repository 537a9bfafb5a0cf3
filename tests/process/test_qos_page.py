"""`GET /` on the QOS port: the page for a browser, and the paths for any other client."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.process import wire
from tests.process.kit import App
from tests.process.lookout import ENV, SERVICE

HTML = "Accept: text/html,application/xhtml+xml,*/*;q=0.8"

Start = Callable[..., App]


@pytest.fixture
def at(app: App) -> tuple[str, int]:
    """Return the address of the port."""
    return ("127.0.0.1", app.qos)


def test_a_browser_gets_a_guarded_document(at: tuple[str, int]) -> None:
    """HTML, which is not stored anywhere, with a policy that allows only our own script."""
    answer = wire.ask(at, "/", headers=(HTML,))

    assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert answer.text.startswith("<!doctype html>")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'; script-src 's")
    assert wire.ask(at, "/?x=1", headers=(HTML,)).body == answer.body
    head = wire.ask(at, "/", method="HEAD", headers=(HTML,))
    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-length"] == str(len(answer.body))


def test_any_other_client_gets_the_paths(at: tuple[str, int]) -> None:
    """As text, after the state and how to see the page."""
    for headers in ((), ("Accept: */*",), ("Accept: application/json",)):
        answer = wire.ask(at, "/", headers=headers)
        first, empty, *paths = answer.text.splitlines()
        assert answer.status == 200
        assert first.endswith(", READY. Open this address in a browser to see the page.")
        assert (empty, paths) == ("", wire.ask(at, "/help").text.splitlines())


@pytest.mark.parametrize(
    ("host", "headers"),
    [
        ("pod.example:22222", ()),
        ("localhost", ("Origin: http://pod.example",)),
        ("localhost", ("X-Forwarded-For: 10.0.0.1",)),
    ],
)
def test_it_is_protected(at: tuple[str, int], host: str, headers: tuple[str, ...]) -> None:
    """From another page, by rebinding or through a proxy it is refused, with the way to open it."""
    answer = wire.ask(at, "/", host=host, headers=(HTML, *headers))

    assert (answer.status, answer.text) == (
        403,
        "/ is PROTECTED, so this caller may not use it. "
        "Run `kubectl port-forward`, and open the page at localhost.\n",
    )


def test_it_is_only_read(at: tuple[str, int]) -> None:
    """A POST is refused."""
    answer = wire.ask(at, "/", method="POST", headers=(wire.MEANT,))

    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")


def test_it_is_there_while_the_app_is_stuck(start: Start) -> None:
    """A blocked loop of the app does not keep a person from looking at it."""
    stuck = SERVICE.replace("await life.ready()", "await life.ready(); import time; time.sleep(60)")
    app = start(stuck, env=ENV)
    app.wait_state("ready")

    answer = wire.ask(("127.0.0.1", app.qos), "/", headers=(HTML,))
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")


def test_it_can_be_turned_off(start: Start) -> None:
    """`no:page` is the port without it."""
    app = start(SERVICE, env=ENV | {"LIFECYCLE_PLUGINS": "no:page"})
    app.wait_state("ready")

    assert wire.ask(("127.0.0.1", app.qos), "/", headers=(HTML,)).status == 404


def test_status_names_the_pod(start: Start) -> None:
    """By `POD_NAME`, or by the host name in a pod; not on a laptop."""
    for env, pod in (
        ({"POD_NAME": "shop-1", "POD_NAMESPACE": "web"}, "shop-1"),
        ({"KUBERNETES_SERVICE_HOST": "10.0.0.1", "HOSTNAME": "shop-2"}, "shop-2"),
        ({"HOSTNAME": "laptop"}, ""),
    ):
        app = start(SERVICE, env=ENV | dict.fromkeys(("POD_NAME", "POD_NAMESPACE"), "") | env)
        status = app.wait_state("ready")
        assert (status["pod"], status["namespace"]) == (pod, env.get("POD_NAMESPACE", ""))
        assert status["now"] >= status["since"]
