"""The page in a real Chromium, over the real server."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from plugins.fleet.tests import pods
from plugins.fleet.tests.api_server import ApiServer
from plugins.fleet.tests.page_picture import PICTURE, drawn
from plugins.fleet.tests.page_scenes import HOSTS, fill
from plugins.fleet.tests.page_tab import THERE, open_all, shown, type_in
from plugins.fleet.tests.serving import Served, served
from tests.page.browser import Tab
from tests.page.scenes import HOSTILE
from tests.page.test_browser import CONTRAST

pytestmark = pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium")

LOST = "document.documentElement.dataset.mood === 'lost'"


def test_the_summary(tab: Tab, few: Served) -> None:
    """How many pods there are, what they do, and what is wrong, with the right name."""
    shown(tab, few)

    assert tab.text("#state") == "10 pods"
    assert "6 of 10 ready, 1 starting, 1 draining, 1 offline, 1 not ready." in tab.text("#lead")
    assert "2 pods have a problem." in tab.text("#lead")
    assert "OOMKilled" in tab.text("#problems")
    assert "CrashLoopBackOff" in tab.text("#problems")
    assert "Work was cut off at the end of the drain." in tab.text("#ends")
    assert tab.text("#scope") == "Pods of all namespaces"
    assert tab.text("#link").startswith("Live. Last change ")
    assert tab.js("document.title") == "2 problems"
    assert tab.js("document.documentElement.dataset.mood") == "bad"


def test_workloads(tab: Tab, few: Served) -> None:
    """By namespace, with a square for each pod, and a table when it is opened."""
    shown(tab, few)
    names = (
        "[...document.querySelectorAll('#groups .space, #groups .name')].map((e) => e.textContent)"
    )
    assert tab.js(names) == ["post", "sts/mail", "shop", "deploy/billing", "deploy/orders"]
    kinds = (
        "[...document.querySelectorAll('details:last-of-type .lane i')].map((e) => e.dataset.kind)"
    )
    assert tab.js(kinds) == ["starting", "problem", *["ready"] * 4, "draining"]
    assert "4 of 7 ready, 1 starting, 1 not ready, 1 draining" in tab.text("details:last-of-type")

    tab.js("document.querySelector('details:last-of-type summary').click()")
    tab.until("document.querySelector('details:last-of-type tbody tr')")
    table = tab.text("details:last-of-type table")
    for text in ("orders-7d9f6c5b8-00000", "find it", "do not find it", "failed, exit code 1"):
        assert text in table
    for text in ("undefined", "NaN", "[object", "null"):
        assert text not in tab.text()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_text_can_be_read(tab: Tab, few: Served, theme: str) -> None:
    """Its contrast is at least 4.5 to 1 in both themes, and the themes differ."""
    shown(tab, few, dark=theme == "dark")
    open_all(tab)

    assert tab.js(CONTRAST) == []
    paper = tab.js("getComputedStyle(document.documentElement).getPropertyValue('--paper')")
    assert (paper.strip() == "#ffffff") is (theme == "light")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", ["few", "many"])
def test_a_narrow_screen_needs_no_sideways_scrolling(
    tab: Tab, size: str, theme: str, request: pytest.FixtureRequest
) -> None:
    """Nothing is wider than 400 pixels, with everything open."""
    shown(tab, request.getfixturevalue(size), width=400, dark=theme == "dark")
    if size == "few":
        open_all(tab)
    assert tab.js("document.documentElement.scrollWidth") <= 400
    wide = tab.js(
        "[...document.querySelectorAll('body *')].filter((each) => each.checkVisibility() &&"
        " !each.closest('.unseen, thead') && each.getBoundingClientRect().right > 401)"
        ".map((each) => `${each.tagName}.${each.className}`)"
    )
    assert wide == []


def test_a_thousand_pods(tab: Tab, many: Served) -> None:
    """All are counted, each has its square, and a search finds one of them."""
    shown(tab, many)
    assert tab.text("#state") == "1,010 pods"
    assert tab.js("document.querySelectorAll('details.group').length") == 53
    assert tab.js("document.querySelectorAll('.lane i').length") == 1010

    type_in(tab, "web-07 00013")
    tab.until("document.querySelectorAll('.lane i').length === 1")
    assert "1 pod in 1 workload match." in tab.text("#pods .note")
    type_in(tab, "nothing like this")
    tab.until("document.querySelectorAll('details.group').length === 0")
    assert tab.text("#none") == "No pod matches."
    type_in(tab, "")
    tab.until("document.querySelectorAll('.lane i').length === 1010")


def test_a_figure_is_a_filter(tab: Tab, many: Served) -> None:
    """Pressed, it shows only these pods. Pressed again, all of them."""
    shown(tab, many)
    tab.js("document.querySelector('.figure[data-kind=\"draining\"]').click()")
    tab.until("document.querySelectorAll('.lane i').length === 1")
    pressed = "[...document.querySelectorAll('.figure[aria-pressed=\"true\"]')].map((e) => e.dataset.kind)"
    assert tab.js(pressed) == ["draining"]
    tab.js("document.querySelector('.figure[data-kind=\"problem\"]').click()")
    tab.until("document.querySelectorAll('.lane i').length === 2")
    assert tab.js(pressed) == ["problem"]
    tab.js("document.querySelector('.figure[data-kind=\"problem\"]').click()")
    tab.until("document.querySelectorAll('.lane i').length === 1010")
    assert tab.js(pressed) == []


def test_large_and_many_workloads(tab: Tab, tmp_path: Path) -> None:
    """Both show their first part, and more on demand."""
    with ApiServer() as api:
        fill(api, 130, 1)
        fill(api, 1, 400, name="large")
        with served(api, tmp_path, "-A") as server:
            shown(tab, server)
            assert tab.js("document.querySelectorAll('details.group').length") == 120
            assert tab.text("#pods .title .more") == "Show all 131"
            tab.js("document.querySelector('#pods .title .more').click()")
            tab.until("document.querySelectorAll('details.group').length === 131")
            type_in(tab, "large")
            tab.until("document.querySelectorAll('details.group').length === 1")
            assert tab.js("document.querySelectorAll('.lane i').length") == 160
            assert tab.text(".rest") == "+240"
            open_all(tab)
            assert tab.js("document.querySelectorAll('.pods tbody tr').length") == 50
            tab.js("document.querySelector('.group > .more').click()")
            tab.until("document.querySelectorAll('.pods tbody tr').length === 250")


def test_what_is_not_known_of_the_services(tab: Tab, tmp_path: Path) -> None:
    """An annotation may not name all of them, and says nothing of a container that came later."""
    old = pods.told(since=pods.STARTED - 60, online=[], offline=["orders"])
    many = pods.told(online=["a", "b", "…"], offline=["c", "…"])
    with ApiServer() as api:
        api.put("pods", pods.pod("many-5f4d3c2b1-x0001", annotation=many))
        api.put("pods", pods.pod("old-5f4d3c2b1-x0001", annotation=old, ready=False))
        with served(api, tmp_path, "-A") as server:
            shown(tab, server)
            open_all(tab)
            assert "a, b, …; offline: c, …" in tab.text("details.group:nth-of-type(1)")
            assert "not reported" in tab.text("details.group:nth-of-type(2)")
            assert "1 starting" in tab.text("#lead")
            assert "offline" not in tab.text("#lead")


def test_a_change_is_visible_without_reloading(tab: Tab, tmp_path: Path) -> None:
    """New, changed and gone pods. What a person has opened stays open, and focused."""
    with ApiServer() as api:
        fill(api, 2, 3)
        with served(api, tmp_path, "-A") as server:
            shown(tab, server)
            tab.js("window.still = true; document.querySelector('summary').focus()")
            tab.press("Enter")
            tab.until("document.querySelector('details[open] tbody tr')")
            namespace, name = HOSTS[0], "web-00-7d9f6c5b8-00001"
            api.put(
                "pods",
                pods.pod(
                    name,
                    namespace,
                    annotation=pods.told("draining", since=time.time()),
                    ready=False,
                    deleted=time.time() + 30,
                ),
            )
            tab.until("document.querySelector('.lane [data-kind=\"draining\"]')")
            assert "draining" in tab.text("details[open] table")
            api.put("pods", pods.pod("aaa-5f-x", namespace))
            tab.until("document.querySelectorAll('details.group').length === 3")
            api.delete("pods", namespace, name)
            tab.until("document.querySelector('#state').textContent === '6 pods'")
            assert name not in tab.text()
            assert tab.js("document.querySelectorAll('details[open]').length") == 1
            assert tab.js("document.activeElement.tagName") == "SUMMARY"
            assert tab.js("document.activeElement.textContent.includes('web-00')")
            assert tab.js("window.still")


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_an_attack_is_text(tab: Tab, tmp_path: Path, number: int) -> None:
    """Whatever somebody puts into a name or a reason is shown, and does nothing."""
    text = HOSTILE[number]
    with ApiServer() as api:
        told = pods.told("failed", cause=text, online=[text], offline=[text], version=text)
        api.put("pods", pods.pod("a", annotation=told, node=text))
        api.put("pods", pods.pod("b", workload=(text, text)))
        api.put("pods", pods.pod("c-5f-x", gate=True, annotation=None, state=f"waiting {text}"))
        api.put("pods", pods.pod("d", annotation=told, last=pods.ended(137, time.time(), text)))
        with served(api, tmp_path, "-A", "-l", "") as server:
            for width in (1280, 400):
                shown(tab, server, width=width)
                open_all(tab)
                body = tab.text()
                if text.isprintable() and len(text) < 60:
                    assert body.count(text) >= 6
                assert not set("\u202e\u2066\u202c\x00\x1b\x7f") & set(body)
                assert tab.js("document.querySelectorAll('script').length") == 1
                assert tab.js("document.querySelectorAll('main img, main svg, main a').length") == 0
                assert tab.js("document.documentElement.scrollWidth") <= width
                assert tab.complaints() == []


def test_an_api_server_that_is_away(tab: Tab, tmp_path: Path) -> None:
    """The page says that its view is old, and goes on by itself."""
    with ApiServer() as api:
        fill(api, 1, 3)
        with served(api, tmp_path, "-A") as server:
            shown(tab, server)
            api.stop()
            tab.until(LOST)
            assert "The server does not get changes from the API server. " in tab.text("#lost")
            assert tab.text("#link").startswith("Stale. Last change ")
            assert tab.text("#state") == "3 pods"
            assert tab.js(CONTRAST) == []
            api.delete("pods", HOSTS[0], "web-00-7d9f6c5b8-00001")
            api.start()
            tab.until(f"!({LOST})")
            tab.until("document.querySelector('#state').textContent === '2 pods'")
            assert tab.text("#link").startswith("Live. ")
            assert not tab.js("document.querySelector('#lost').checkVisibility()")


def test_a_server_that_restarts(tab: Tab, tmp_path: Path) -> None:
    """The last view stays until the new one is there as a whole."""
    with ApiServer() as api:
        fill(api, 1, 3)
        with served(api, tmp_path, "-A") as server:
            shown(tab, server)
        tab.until("document.querySelector('#lost').checkVisibility()")
        assert "Connection lost: " in tab.text("#lost")
        assert "You see the last view, of " in tab.text("#lost")
        assert tab.text("#state") == "3 pods"
        assert tab.js("document.title").startswith("Lost")
        fill(api, 1, 5)
        with served(api, tmp_path, "-A", port=server.port):
            tab.until("document.querySelector('#state').textContent === '5 pods'")
            assert not tab.js("document.querySelector('#lost').checkVisibility()")
            assert tab.text("#said") == "Connected again."
        tab.open("about:blank")


def test_a_token(tab: Tab, tmp_path: Path) -> None:
    """The page asks for it, and shows nothing without. It keeps it nowhere."""
    known = {"good", "weak"}
    with ApiServer() as api:
        fill(api, 1, 3)
        api.review = lambda kind, spec: (
            {"authenticated": spec["token"] in known, "user": {"username": spec["token"]}}
            if kind == "TokenReview"
            else {"allowed": spec["user"] == "good"}
        )
        with served(api, tmp_path, "-A", "--auth", "token") as server:
            tab.open(server.url)
            tab.until("document.querySelector('#ask:not([hidden])')")
            assert tab.js("document.activeElement.id") == "token"
            give(tab, "wrong")
            tab.until("document.querySelector('#lost').textContent.includes('does not know')")
            give(tab, "weak")
            tab.until("document.querySelector('#lost').textContent.includes('may not list')")
            assert "Connection lost" not in tab.text("#lost")  # it has stopped, and asks again
            assert tab.js("document.querySelector('#ask').checkVisibility()")
            give(tab, "good")
            tab.until(THERE)
            assert tab.text("#state") == "3 pods"
            metrics = server.ask("/metrics", Authorization="Bearer good").text.splitlines()
            assert "pod_lifecycle_fleet_readers 1.0" in metrics
            assert not tab.js("document.querySelector('#ask').checkVisibility()")
            assert (
                tab.js("localStorage.length + sessionStorage.length + document.cookie.length") == 0
            )
            tab.open(server.url)
            tab.until("document.querySelector('#ask:not([hidden])')")
            assert "3 pods" not in tab.text()
        tab.open("about:blank")


def give(tab: Tab, token: str) -> None:
    """Give a token to the form, with the keyboard."""
    tab.js(f"document.querySelector('#token').value = {token!r}")
    tab.js("document.querySelector('#token').focus()")
    tab.press("Enter")


def test_the_picture_in_the_documentation_is_the_page(tab: Tab) -> None:
    """`make picture` draws it anew."""
    assert PICTURE.read_text(encoding="utf-8") == drawn(tab)
