"""The page by keyboard, for a screen reader, without JavaScript, and in the background."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from plugins.fleet.tests import pods
from plugins.fleet.tests.api_server import ApiServer
from plugins.fleet.tests.page_scenes import HOSTS, fill
from plugins.fleet.tests.page_tab import hidden, open_all, shown
from plugins.fleet.tests.serving import Served, served
from tests.page.browser import Tab

pytestmark = pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium")


def test_the_keyboard_reaches_everything(tab: Tab, few: Served) -> None:
    """Each stop has a visible focus, and a slash leads to the search."""
    shown(tab, few)
    stops = []
    for _ in range(13):
        tab.press("Tab")
        stops.append(
            tab.js(
                "[document.activeElement.className || document.activeElement.id ||"
                " document.activeElement.textContent, document.activeElement.matches(':focus-visible')]"
            )
        )
    assert {visible for _, visible in stops} == {True}, stops
    assert [name for name, _ in stops[:8]] == [*["figure"] * 7, "search"]
    assert [name for name, _ in stops[11:]] == ["/pods.json", "/metrics"]
    tab.js("document.activeElement.blur()")
    tab.js("document.dispatchEvent(new KeyboardEvent('keydown', {key: '/', cancelable: true}))")
    assert tab.js("document.activeElement.id") == "search"


def test_for_a_screen_reader(tab: Tab, few: Served) -> None:
    """Headings in their order, and names for all that can be used."""
    shown(tab, few)
    open_all(tab)
    found = tab.accessible()
    headings = [name for role, name in found if role == "heading"]
    assert headings == ["10 pods", "Problems", "Ended badly", "Workloads", "post", "shop"]
    for role in ("button", "link", "table", "searchbox", "group", "region"):
        names = [name for each, name in found if each == role]
        assert names, role
        assert role == "group" or all(names), (role, names)
    assert ("image", "4 of 7 ready, 1 starting, 1 not ready, 1 draining") in found


def test_without_javascript(tab: Tab, few: Served) -> None:
    """A sentence, and a link to the data."""
    tab.send("Emulation.setScriptExecutionDisabled", value=True)
    tab.open(few.url)
    found = tab.accessible()
    tab.send("Emulation.setScriptExecutionDisabled", value=False)
    tab.open("about:blank")

    assert any("This page needs JavaScript" in name for _, name in found)
    assert ("link", "/pods.json") in found


def test_a_foreign_script_does_not_run(tab: Tab, few: Served) -> None:
    """The policy refuses it, even if it gets into the document. So does Trusted Types."""
    shown(tab, few)
    tab.js(
        "(() => { const script = document.createElement('script');"
        " try { script.textContent = 'window.ran = 1'; document.body.append(script); }"
        " catch (error) { window.refused = error.name; } })()"
    )
    assert tab.js("window.ran ?? null") is None
    assert tab.js("window.refused") == "TypeError"
    tab.open("about:blank")


def test_a_tab_in_the_background(tab: Tab, tmp_path: Path) -> None:
    """Its title goes on, and the rest is painted when somebody looks again."""
    with ApiServer() as api:
        fill(api, 1, 3)
        with served(api, tmp_path, "-A") as server:
            shown(tab, server)
            with hidden(tab):
                failed = pods.told("failed", cause="no database")
                api.put("pods", pods.pod("zzz-5f-x", HOSTS[0], annotation=failed))
                tab.until("document.title === '1 problem'")
                assert tab.js("document.querySelectorAll('details.group').length") == 1
            tab.until("document.querySelectorAll('details.group').length === 2")
