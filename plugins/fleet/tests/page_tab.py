"""What a person does on the page, in a tab of Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from plugins.fleet.tests.serving import Served
from tests.page.browser import Tab

THERE = "document.querySelector('#main:not([hidden])')"


def shown(tab: Tab, server: Served, **look: Any) -> None:
    """Open the page, and wait until the pods are there."""
    tab.look(**look)
    tab.open(server.url)
    tab.until(THERE)


def settled(tab: Tab) -> None:
    """Wait for two pictures of the browser."""
    tab.js("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def open_all(tab: Tab) -> None:
    """Open each workload."""
    tab.js("document.querySelectorAll('details.group').forEach((each) => (each.open = true))")
    tab.until("document.querySelectorAll('details.group table').length > 0")
    settled(tab)


def type_in(tab: Tab, words: str) -> None:
    """Search for words."""
    tab.js(
        f"(() => {{ const field = document.querySelector('#search'); field.value = {words!r};"
        " field.dispatchEvent(new Event('input')); })()"
    )


@contextmanager
def hidden(tab: Tab) -> Iterator[None]:
    """Hide the page, as a tab in the background is."""
    hide = "Object.defineProperty(document, 'hidden', {value: %s, configurable: true});"
    turn = "document.dispatchEvent(new Event('visibilitychange'))"
    tab.js(hide % "true" + turn)
    yield
    tab.js(hide % "false" + turn)
