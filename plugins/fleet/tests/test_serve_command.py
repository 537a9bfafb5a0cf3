"""`lifecycle fleet serve` on the command line, and the document that it serves."""

from __future__ import annotations

import base64
import hashlib
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifecycle_fleet.commands.serve import TARGET, is_local, server
from lifecycle_fleet.serve.answers import is_local as is_local_host
from lifecycle_fleet.serve.page import document
from lifecycle_fleet.serve.page.document import page
from lifecycle_fleet.serve.settings import VARIABLE, Settings, from_environ

from lifecycle.testing import free_port
from plugins.fleet.tests.api_server import ApiServer
from plugins.fleet.tests.serving import LATEST
from tests.process.kit import App, cli, wait_for

FOLDER = Path(document.__file__).parent


def test_the_server_is_an_app_of_pod_lifecycle() -> None:
    """In a pod with its drain, on a laptop without waiting, and never from the working directory."""
    laptop, pod = server(["a:1", "unix:b"], {}), server(["a:1"], {"KUBERNETES_SERVICE_HOST": "x"})

    assert laptop[:6] == [sys.executable, "-P", "-m", "lifecycle", "run", "--asgi"]
    assert laptop[-10:] == [
        *("--bind", "a:1", "--bind", "unix:b", "--service", "fleet", "--local"),
        *("-p", "no:kubernetes"),
        TARGET,
    ]
    registered = server(["a:1"], {"LIFECYCLE_KUBERNETES_ENABLED": "true"})
    assert "no:kubernetes" not in registered
    tls = server(["a:1"], {}, certfile="c.pem", keyfile=None)
    assert tls[tls.index("--certfile") + 1] == "c.pem"
    assert "--keyfile" not in tls
    assert "--local" not in pod
    assert "--local" not in server(["a:1"], {"LIFECYCLE_QOS_PORT": "1"})
    assert "--service" not in server(["a:1"], {"LIFECYCLE_SERVICES": "page:80"})


@pytest.mark.parametrize(
    ("binds", "local"),
    [
        (["127.0.0.1:8080"], True),
        (["localhost:8080", "[::1]:8080"], True),
        (["127.0.0.9:1", "unix:/tmp/x"], True),
        (["0.0.0.0:8080"], False),
        (["127.0.0.1:8080", "10.0.0.1:8080"], False),
        (["[::]:8080"], False),
        (["unix:/tmp/x"], False),
        (["example.com:80"], False),
        ([":80"], False),
    ],
)
def test_who_can_connect(binds: list[str], local: bool) -> None:  # noqa: FBT001 - a table
    """If only this machine can, foreign names are refused."""
    assert is_local(binds) is local


@given(st.text(max_size=30))
def test_any_host(host: str) -> None:
    """A name that is not an IP address is never taken for one."""
    if is_local_host(host):
        assert re.fullmatch(
            r"\[?[0-9a-fA-F:.%\w]*\]?(:\d+)?|localhost\.?(:\d+)?", host, re.IGNORECASE
        )


def test_settings_are_handed_over() -> None:
    """By a variable, and without it the defaults count."""
    given_ = Settings(namespace="shop", selector='app in ("a", b)', token=True, context="x\n")

    assert from_environ({VARIABLE: given_.to_variable()}) == given_
    assert from_environ({}) == Settings()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--kubeconfig", "missing"), 1, "missing"),
        (("--context", "other"), 1, "other"),
        (("--bind", "x"), 2, "bind"),
        (("--bind", "127.0.0.1:99999"), 2, "99999"),
        (("--auth", "basic"), 2, "basic"),
        (("--certfile", "no.pem"), 2, "--certfile no.pem"),
        (("--selector",), 2, "expected one argument"),
    ],
)
def test_wrong_words(
    api: ApiServer, tmp_path: Path, words: tuple[str, ...], code: int, said: str
) -> None:
    """One sentence says what is wrong, and there is no traceback."""
    with App.start(["-c", "pass"], cwd=tmp_path) as app:
        env = app.env | {"KUBECONFIG": str(api.kubeconfig(tmp_path))}
    done = cli("fleet", "serve", *words, env=env, cwd=tmp_path)

    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_selector_that_the_api_server_refuses(api: ApiServer, tmp_path: Path) -> None:
    """The server does not start, and says why."""
    with App.start(["-c", "pass"], cwd=tmp_path) as app:
        env = app.env | {"KUBECONFIG": str(api.kubeconfig(tmp_path))}
    port = free_port()
    done = cli(
        "fleet", "serve", "--bind", f"127.0.0.1:{port}", "-l", "a b c", env=env, cwd=tmp_path
    )

    assert done.returncode == 1
    assert "lifecycle: the app did not start: API server: refused (400)" in done.stderr
    assert "Traceback" not in done.stderr


def test_nothing_is_imported_from_the_working_directory(api: ApiServer, tmp_path: Path) -> None:
    """There may be anything, for example in a folder of downloads."""
    (tmp_path / "msgspec.py").write_text("raise SystemExit('taken')")
    (tmp_path / "lifecycle_fleet").mkdir()
    (tmp_path / "lifecycle_fleet" / "__init__.py").write_text("raise SystemExit('taken')")
    kubeconfig = str(api.kubeconfig(tmp_path))
    port = free_port()
    program = str(Path(sys.executable).with_name("lifecycle"))
    runner = f"import os; os.execv({program!r}, ['lifecycle', 'fleet', 'serve', '--bind', '127.0.0.1:{port}'])"
    with App.start(["-P", "-c", runner], cwd=tmp_path, env={"KUBECONFIG": kubeconfig}) as app:
        wait_for(lambda: app.events("ready"), LATEST, lambda: app.stderr)


class Reader(HTMLParser):
    """Notes what a document has in it."""

    def __init__(self) -> None:
        super().__init__()
        self.attributes: list[dict[str, str | None]] = []
        self.open: list[str] = []
        self.texts: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes.append(dict(attrs))
        if tag not in ("meta", "link", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open:
            self.texts[self.open[-1]] = self.texts.get(self.open[-1], "") + data


def read() -> Reader:
    """Read the page."""
    reader = Reader()
    reader.feed(page().body.decode())
    reader.close()
    return reader


def test_only_our_own_script_and_style_may_run() -> None:
    """The policy names both by their hashes, and forbids everything else."""
    headers = {name.decode(): value.decode() for name, value in page().headers}
    policy = dict(each.split(" ", 1) for each in headers["content-security-policy"].split("; "))
    texts = read().texts
    for tag in ("script", "style"):
        digest = base64.b64encode(hashlib.sha256(texts[tag].encode()).digest()).decode()
        assert policy.pop(f"{tag}-src") == f"'sha256-{digest}'"

    assert policy == {
        "default-src": "'none'",
        "connect-src": "'self'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }


def test_the_document_is_whole_and_loads_nothing() -> None:
    """Each element is closed. No address leads away, and no element has a style or a handler."""
    reader = read()

    assert not reader.open
    for each in reader.attributes:
        assert not {name for name in each if name.startswith("on") or name in ("style", "src")}
        assert each.get("href", "metrics") in ("pods.json", "metrics", "data:,")
    assert not re.search(r"url\(|@import", reader.texts["style"])
    assert set(re.findall(r"https?://[^\"'`\s]*", reader.texts["script"])) == {
        "http://www.w3.org/2000/svg"  # a name, not an address
    }


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.js")), ids=lambda file: file.name)
def test_texts_are_set_as_text(file: Path) -> None:
    """No part of the script knows a way to make elements out of text, or code."""
    code = file.read_text(encoding="utf-8")

    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacent|document\.write|DOMParser|createContextual|setHTML"
        r"|\beval\b|new Function|setTimeout\([\"'`]|srcdoc|location\s*=[^=]|\.cssText|Storage",
        code,
    )
    assert "fetch(" not in code or file.name == "stream.js"


def test_every_file_is_used() -> None:
    """What is in the folder is in the page."""
    there = {each.name for each in FOLDER.iterdir() if each.suffix in (".js", ".css")}

    assert there == {*document.SCRIPTS, *document.STYLES}


@pytest.mark.parametrize("known", ["", "x", '"x"', '"', "W/"])
def test_a_page_that_is_not_known(known: str) -> None:
    """Only its own tag saves the body."""
    assert page(known).status == 200
    assert page(dict(page().headers)[b"etag"].decode()).status == 304
