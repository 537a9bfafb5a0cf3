"""The plugin `http`."""

from __future__ import annotations

import contextlib
import socket
import threading

import pytest
from lifecycle_probes.http import Url, read_url

import lifecycle


@contextlib.contextmanager
def speaking(words):
    """Accept one connection, read from it, say these words, and hang up."""

    def speak():
        with contextlib.suppress(OSError):
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(words)

    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(5)
        thread = threading.Thread(target=speak)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
    thread.join(6)


@pytest.mark.parametrize(
    ("status", "headers", "ok", "words"),
    [
        (200, {}, True, "GET answered 200 in "),
        (204, {}, True, "GET answered 204 in "),
        (
            302,
            {"Location": "https://sso.example/login?token=secret"},
            False,
            "GET answered 302 Found, a redirect to https://sso.example/login, "
            "which is not followed. Use the URL that returns 2xx",
        ),
        (304, {}, False, "GET answered 304 Not Modified, a redirect to nowhere"),
        (401, {}, False, "GET answered 401 Unauthorized, credentials are required"),
        (404, {}, False, "GET answered 404 Not Found, not 2xx. Check the path"),
        (503, {}, False, "GET answered 503 Service Unavailable, the server is up but"),
        (599, {}, False, "GET answered 599, the server is up"),
    ],
)
def test_2xx_is_ready_and_nothing_else_is(ask, serve, status, headers, ok, words):
    """The reason says what was answered, and what to do; a query never shows."""
    where = serve({"/health": (status, headers)})

    answer = ask("http", HTTP_URLS=f"http://{where}/health")[f"http.{where}/health"]

    assert ok is answer["ok"]
    assert answer["reason"].startswith(words)
    assert "secret" not in answer["reason"]


def test_several_urls_have_an_answer_each(ask, serve):
    """By NAME=URL, or by host and path; the query is asked for, and shown to nobody."""
    where = serve({"/a?key=secret": (200, {}), "/b": (500, {})})

    answers = ask("http", HTTP_URLS=f"http://{where}/a?key=secret,stock=http://{where}/b")

    assert {f"http.{where}/a": True, "http.stock": False} == {
        name: answer["ok"] for name, answer in answers.items()
    }


def test_a_proxy_in_the_environment_is_not_used(ask, serve, lifecycle_env):
    """A dependency is asked itself: a proxy would answer for it."""
    lifecycle_env.setenv("http_proxy", "http://127.0.0.1:1")
    lifecycle_env.setenv("no_proxy", "")
    where = serve({"/": (200, {})})

    assert ask("http", HTTP_URLS=f"up=http://{where}/")["http.up"]["ok"]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (b"", "GET: the server closed the connection without an answer"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "GET: the answer is not HTTP (BadStatusLine)"),
    ],
)
def test_what_speaks_no_http_is_told_apart(ask, words, reason):
    """A wrong port is not taken for an outage."""
    with speaking(words) as where:
        answer = ask("http", HTTP_URLS=f"it=http://{where}/")["http.it"]

    assert not answer["ok"]
    assert reason in answer["reason"]


def test_a_tls_port_that_speaks_none_is_told_apart(ask, serve):
    """https on a plain port."""
    where = serve({})

    answer = ask("http", HTTP_URLS=f"it=https://{where}/")["http.it"]

    assert "TLS failed (check that this is a TLS port)" in answer["reason"]


def test_a_server_that_never_answers_is_late_within_the_timeout(ask):
    """It accepts, and is silent."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        urls = f"it=http://127.0.0.1:{port}/"
        answer = ask("http", HTTP_URLS=urls, HTTP_TIMEOUT="0.2")["http.it"]

    assert not answer["ok"]
    assert "no answer" in answer["reason"]
    assert answer["ms"] < 5000


def test_a_server_that_drips_is_late_within_the_timeout(ask):
    """Every byte comes in time, and the answer never does: the whole check has one deadline."""
    stop = threading.Event()

    def drip():
        connection, _ = server.accept()
        with connection, contextlib.suppress(OSError):
            while not stop.wait(0.05):
                connection.sendall(b"H")

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=drip)
        thread.start()
        urls = f"it=http://127.0.0.1:{server.getsockname()[1]}/"
        try:
            answer = ask("http", HTTP_URLS=urls, HTTP_TIMEOUT="0.3")["http.it"]
        finally:
            stop.set()
            thread.join(5)

    assert not answer["ok"]
    assert "the resolver or the server hangs" in answer["reason"]
    assert answer["ms"] < 750


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://a", Url("a", "a", None, "/", False)),
        ("http://a/", Url("a", "a", None, "/", False)),
        ("https://a:8443/b/c?d=e#f", Url("a:8443/b/c", "a", 8443, "/b/c?d=e", True)),
        ("http://[::1]:80/x", Url("[::1]:80/x", "::1", 80, "/x", False)),
    ],
)
def test_a_url_is_read(text, url):
    """Host, port, path with query, scheme; the name has neither scheme nor query."""
    assert (url.name, url) == read_url(text)


@pytest.mark.parametrize(
    ("urls", "problem"),
    [
        ("orders:8080/health", "'orders:8080/health': must be http://HOST"),
        ("ftp://a/b", "'ftp://a/b': must be http://HOST"),
        ("file:///etc/passwd", "'file:///etc/passwd': must be http://HOST"),
        ("http://", "'http://': must be http://HOST"),
        ("http://a..b/", "'http://a..b/': must be http://HOST"),
        ("http://a:99999/", "a URL is not valid"),
        ("http://[::1", "a URL is not valid"),
        ("http://a/b c", "'http://a/b c': must be http://HOST"),
        ("http://me:secret@a/", "a URL contains a user or password"),
        ("http://a/b?x=secret,http://a/b?x=secret2", "two targets are named 'a/b'"),
    ],
)
def test_a_bad_url_names_the_variable_and_shows_no_secret(ask, urls, problem):
    """What is no URL is an error at start."""
    with pytest.raises(lifecycle.ConfigError) as refused:
        ask("http", HTTP_URLS=urls)

    assert problem in str(refused.value)
    assert "LIFECYCLE_HTTP_URLS" in str(refused.value)
    assert "secret" not in str(refused.value)
