"""
A real Chromium, driven over its DevTools protocol.

Rules of this file:

1. Every wait has a deadline, and is for an event: of the browser, or of the page's document.
2. What a page must not do is noted from its start: exceptions, and violations of its CSP.
"""

from __future__ import annotations

import base64
import itertools
import json
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, Queue
from typing import Any, Final

from websockets.sync.client import ClientConnection, connect

_NUMBERS: Final = itertools.count(1)
LIMIT: Final = 30.0
"""Seconds until the browser must have answered."""
LISTENS: Final = re.compile(r"DevTools listening on (ws://\S+)")
FLAGS: Final = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
    *("--no-first-run", "--disable-extensions", "--disable-background-networking"),
    *("--disable-component-update", "--hide-scrollbars", "--force-color-profile=srgb"),
    "--remote-debugging-port=0",
)
WATCH: Final = """
window.complaints = [];
addEventListener("securitypolicyviolation", (event) =>
  complaints.push(`${event.violatedDirective}: ${event.blockedURI} ${event.sample}`));
addEventListener("error", (event) => complaints.push(`error: ${event.message}`));
addEventListener("unhandledrejection", (event) => complaints.push(`rejected: ${event.reason}`));
"""
UNTIL: Final = """
new Promise((done, fail) => {
  const met = () => { try { return (%s); } catch (error) { return false; } };
  const first = met();
  if (first) return done(first);
  const watch = new MutationObserver(() => { const found = met(); if (found) end(() => done(found)); });
  const late = setTimeout(() => end(() => fail(new Error("not in time"))), %d);
  const end = (then) => { watch.disconnect(); clearTimeout(late); then(); };
  watch.observe(document, { subtree: true, childList: true, characterData: true, attributes: true });
})
"""


class Session:
    """A conversation with the browser, or with one of its tabs."""

    def __init__(self, socket: ClientConnection, session: str = "") -> None:
        self._socket = socket
        self._about = {"sessionId": session} if session else {}
        self.events: list[dict[str, Any]] = []

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        """Send one command, and return its result."""
        number = next(_NUMBERS)
        self._socket.send(
            json.dumps({"id": number, "method": method, "params": params} | self._about)
        )
        while True:
            answer: dict[str, Any] = json.loads(self._socket.recv(timeout=LIMIT))
            if answer.get("id") != number:
                self.events.append(answer)
                continue
            assert "error" not in answer, f"{method}: {answer}"
            result: dict[str, Any] = answer["result"]
            return result


class Tab(Session):
    """One tab of the browser."""

    def start(self) -> None:
        """Listen to the tab, and note what goes wrong in its pages."""
        for domain in ("Page", "Runtime", "Log", "Network", "Accessibility", "Performance"):
            self.send(f"{domain}.enable")
        self.send("Page.addScriptToEvaluateOnNewDocument", source=WATCH)
        self.send("Emulation.setTimezoneOverride", timezoneId="UTC")

    def open(self, url: str) -> None:
        """Go to an address, and return when the document is there."""
        self.events.clear()
        found = self.send("Page.navigate", url=url)
        assert "errorText" not in found, found
        self._event("Page.loadEventFired")

    def _event(self, name: str) -> None:
        deadline = time.monotonic() + LIMIT
        while not any(each.get("method") == name for each in self.events):
            left = deadline - time.monotonic()
            assert left > 0, f"no {name}"
            self.events.append(json.loads(self._socket.recv(timeout=left)))

    def js(self, expression: str) -> Any:
        """Evaluate an expression in the page; wait for a promise."""
        found = self.send(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in found, f"{expression}: {found['exceptionDetails']}"
        return found["result"].get("value")

    def until(self, condition: str) -> Any:
        """Wait until a condition is true after a change of the document, and return its value."""
        return self.js(UNTIL % (condition, (LIMIT - 5) * 1000))

    def text(self, selector: str = "body") -> str:
        """Return the visible text of an element."""
        return str(self.js(f"document.querySelector({selector!r}).innerText"))

    def press(self, key: str, *, shift: bool = False) -> None:
        """Press a key: `Tab`, `Enter` or a space."""
        code, text = {"Tab": (9, ""), "Enter": (13, "\r"), " ": (32, " ")}[key]
        about = {"key": key, "windowsVirtualKeyCode": code, "modifiers": 8 if shift else 0}
        self.send("Input.dispatchKeyEvent", type="keyDown", text=text, **about)
        self.send("Input.dispatchKeyEvent", type="keyUp", **about)

    def look(self, *, dark: bool = False, width: int = 1280, height: int = 900) -> None:
        """Choose the theme and the size of the window."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", features=[scheme])
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )

    def shot(self, file: Path) -> None:
        """Write a picture of the whole page."""
        found = self.send("Page.captureScreenshot", captureBeyondViewport=True, format="png")
        file.write_bytes(base64.b64decode(found["data"]))

    def accessible(self) -> list[tuple[str, str]]:
        """Return the role and the name of all that a screen reader can find, in its order."""
        nodes = self.send("Accessibility.getFullAXTree")["nodes"]
        return [
            (node["role"]["value"], node.get("name", {}).get("value", ""))
            for node in nodes
            if not node["ignored"]
        ]

    def metrics(self) -> dict[str, float]:
        """Return the seconds that the page has used so far, and the number of its nodes."""
        found = self.send("Performance.getMetrics")["metrics"]
        return {each["name"]: each["value"] for each in found}

    def complaints(self) -> list[str]:
        """Return what went wrong in the page so far: exceptions, and what its CSP has refused."""
        logged = [
            event["params"]["entry"]["text"]
            for event in self.events
            if event.get("method") == "Log.entryAdded"
            and event["params"]["entry"]["source"] in ("security", "javascript", "violation")
        ]
        return [*self.js("window.complaints"), *logged]


@contextmanager
def chromium(folder: Path) -> Iterator[Tab]:
    """Start a browser with a profile of its own, and give its tab."""
    argv = ["chromium", *FLAGS, f"--user-data-dir={folder}", "about:blank"]
    process = subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    said: Queue[str] = Queue()
    reader = threading.Thread(target=_read, args=(process, said), daemon=True)
    reader.start()
    try:
        with connect(
            _address(said), max_size=None, open_timeout=LIMIT, ping_interval=None
        ) as socket:
            browser = Session(socket)
            targets = browser.send("Target.getTargets")["targetInfos"]
            page = next(each["targetId"] for each in targets if each["type"] == "page")
            attached = browser.send("Target.attachToTarget", targetId=page, flatten=True)
            tab = Tab(socket, attached["sessionId"])
            tab.start()
            yield tab
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
        reader.join(10)


def _read(process: subprocess.Popen[str], said: Queue[str]) -> None:
    assert process.stderr is not None
    with process.stderr:
        for line in process.stderr:
            said.put(line)
    said.put("")


def _address(said: Queue[str]) -> str:
    lines = []
    while True:
        try:
            line = said.get(timeout=LIMIT)
        except Empty:
            raise AssertionError(f"Chromium does not listen: {lines}") from None
        if found := LISTENS.search(line):
            return found[1]
        if not line:
            raise AssertionError(f"Chromium has ended: {lines}")
        lines.append(line)
