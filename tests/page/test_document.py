"""The document of the page, and the headers that guard it."""

from __future__ import annotations

import base64
import hashlib
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from lifecycle.contracts import Command, Level, Request
from lifecycle.control.builtin_plugins import PagePlugin
from lifecycle.page import document
from lifecycle.page.document import page
from lifecycle.states import State

FOLDER = Path(document.__file__).parent
HEADERS = dict(page().headers)
POLICY = dict(each.split(" ", 1) for each in HEADERS["Content-Security-Policy"].split("; "))
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
VOID = {"meta", "link", "br", "img", "input", "hr"}


def asked(accept: str) -> Request:
    """Return a request with this header `Accept`."""

    async def gone() -> None:
        return

    return Request({}, "127.0.0.1", Level.PROTECTED, gone, accept)


def plugin() -> PagePlugin:
    """Return the plugin of an app that is READY."""
    return PagePlugin(lambda: State.READY, lambda: "GET  /live")


class Reader(HTMLParser):
    """Notes what a document has in it."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open:
            self.texts[self.open[-1]] = self.texts.get(self.open[-1], "") + data


def read() -> Reader:
    """Read the page."""
    reader = Reader()
    reader.feed(page().body)
    reader.close()
    return reader


def test_only_our_own_script_and_style_may_run() -> None:
    """The policy names both by their hashes, and forbids everything else."""
    texts = read().texts
    for tag, directive in (("script", "script-src"), ("style", "style-src")):
        digest = base64.b64encode(hashlib.sha256(texts[tag].encode()).digest()).decode()
        assert POLICY[directive] == f"'sha256-{digest}'"

    assert {name: POLICY[name] for name in POLICY.keys() - {"script-src", "style-src"}} == {
        "default-src": "'none'",
        "connect-src": "'self'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }


def test_other_headers() -> None:
    """Nothing guesses the type, and no other site learns of the page or gets at it."""
    assert HEADERS["X-Content-Type-Options"] == "nosniff"
    assert HEADERS["Referrer-Policy"] == "no-referrer"
    assert HEADERS["Cross-Origin-Opener-Policy"] == "same-origin"
    assert HEADERS["Cross-Origin-Resource-Policy"] == "same-origin"
    assert page().content_type == "text/html; charset=utf-8"


def test_a_browser_gets_the_page_and_any_other_client_the_paths() -> None:
    """By the header `Accept`; the paths are preceded by the state."""
    for accept in (BROWSER, "text/html", "TEXT/HTML;q=0.1"):
        assert plugin().page(asked(accept)) is page()
    for accept in ("", "*/*", "application/json", "text/plain, */*"):
        reply = plugin().page(asked(accept))
        assert reply.body.startswith("pod-lifecycle ")
        assert ", READY. " in reply.body
        assert reply.body.endswith("\n\nGET  /live")
        assert not reply.content_type


def test_the_command() -> None:
    """It is PROTECTED, it changes nothing, and it is not run on the control loop."""
    command = plugin().lifecycle_commands()
    assert command == Command("", command.handler, command.help)
    assert (command.level, command.changes) == (Level.PROTECTED, False)
    assert not hasattr(command.handler, "__lifecycle_inline__")


def test_the_document_is_whole_and_loads_nothing() -> None:
    """Each element is closed; no address leads away; no element has a style or a handler."""
    reader = read()
    assert not reader.open
    for tag, attributes in reader.tags:
        assert not {name for name in attributes if name.startswith("on") or name == "style"}, tag
        assert "src" not in attributes
        assert attributes.get("href", "status") in ("status", "inflight", "ls", "help", "data:,")
    assert not re.search(r"url\(|@import", reader.texts["style"])
    assert set(re.findall(r"https?://[^\"'`\s]*", reader.texts["script"])) <= {
        "http://www.w3.org/2000/svg"  # a name, not an address
    }


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.js")), ids=lambda file: file.name)
def test_texts_are_set_as_text(file: Path) -> None:
    """No part of the script knows a way to make elements out of text, or code."""
    code = file.read_text(encoding="utf-8")

    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacent|document\.write|DOMParser|createContextual|setHTML"
        r"|\beval\b|new Function|setTimeout\([\"'`]|srcdoc|location\s*=[^=]|\.cssText|localStorage",
        code,
    )
    assert "fetch(" not in code or file.name == "live.js"


def test_every_file_is_used() -> None:
    """What is in the folder is in the page."""
    there = {each.name for each in FOLDER.iterdir() if each.suffix in (".js", ".css")}

    assert there == {*document.SCRIPTS, *document.STYLES}


def test_nothing_of_the_page_is_loaded_before_it_is_asked_for() -> None:
    """A start imports no module of it, and reads no file of it."""
    code = (
        "import sys, lifecycle.process.run, lifecycle.qos.port, lifecycle.control.builtin_plugins\n"
        "print([name for name in sys.modules if name.startswith('lifecycle.page')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=50, check=True
    )

    assert done.stdout == "[]\n"
