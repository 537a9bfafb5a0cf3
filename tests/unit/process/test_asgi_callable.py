"""Which callables `lifecycle run --asgi` serves, and what it says about the others."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial, wraps
from typing import Any

import pytest

from lifecycle.process.asgi_callable import refusal, refusal_as_main

# Apps that can be served


async def plain(scope: Any, receive: Any, send: Any) -> None:
    """Serve."""


def returns_a_coroutine(scope: Any, receive: Any, send: Any) -> Any:
    """Serve, without being a coroutine function."""
    return plain(scope, receive, send)


async def optional(scope: Any, receive: Any = None, send: Any = None) -> None:
    """Serve, or be called by a test."""


def wsgi(environ: Any, start_response: Any) -> list[bytes]:
    """Serve WSGI."""
    return []


@wraps(plain)
def decorated(*args: Any, **kwargs: Any) -> Any:
    """Serve through a decorator."""
    return plain(*args, **kwargs)


@wraps(wsgi)
async def adapter(scope: Any, receive: Any, send: Any) -> None:
    """Serve what it wraps, as an ASGI app."""


@wraps(wsgi)
async def open_adapter(*args: Any) -> None:
    """The same; its signature does not show it."""


@wraps(wsgi)
def plain_adapter(scope: Any, receive: Any, send: Any) -> Any:
    """The same, without being a coroutine function."""
    return plain(scope, receive, send)


def two_arguments(event: Any, context: Any) -> None:
    """Serve nobody."""


@wraps(two_arguments)
def open_over_two(*args: Any) -> Any:
    """Serve, perhaps."""
    return plain(*args)


def anything(*args: Any) -> Any:
    """Serve, perhaps."""


class Instance:
    """An app as the frameworks make it, and its methods."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve."""

    async def method(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve."""

    @classmethod
    async def of_the_class(cls, scope: Any, receive: Any, send: Any) -> None:
        """Serve."""


class Static:
    """An app whose `__call__` has no self."""

    __call__ = staticmethod(plain)


class Endpoint:
    """A class that is the app: each request makes one, and awaits it."""

    def __init__(self, scope: Any, receive: Any, send: Any) -> None:
        """Take the request."""

    def __await__(self) -> Iterator[None]:
        """Serve it."""
        yield


class Shown:
    """An app that shows another signature than it has."""

    def __init__(self) -> None:
        import inspect

        self.__signature__ = inspect.signature(lambda request: None)

    async def __call__(self, *args: Any) -> None:
        """Serve."""


def _with_state(state: Any, scope: Any, receive: Any, send: Any) -> Any:
    return plain(scope, receive, send)


def single_callable() -> Any:
    from asgiref.compatibility import guarantee_single_callable

    return guarantee_single_callable(TwoCalls)


SERVED = [
    plain,
    returns_a_coroutine,
    optional,
    decorated,
    adapter,
    open_adapter,
    plain_adapter,
    open_over_two,
    anything,
    Instance(),
    Instance().method,
    Instance.of_the_class,
    Instance().__call__,
    Static(),
    Endpoint,
    Shown(),
    partial(plain),
    partial(_with_state, "state"),
    partial(Instance()),
    dict.get,
]


def _name(app: Callable[..., object]) -> str:
    """Without an address: the workers of a test run must collect the same names."""
    return re.sub(r" at 0x\w+", "", repr(app))


@pytest.mark.parametrize("app", SERVED, ids=_name)
def test_what_may_be_an_asgi_app(app: Callable[..., object]) -> None:
    """A callable that can take scope, receive and send is never refused."""
    assert refusal(app, "web:app", "", 8080) is None


# Apps that cannot


def _refused(app: Callable[..., object], target: str, service: str, port: int | None) -> str:
    """Return why it is refused."""
    refused = refusal(app, target, service, port)
    assert refused is not None
    return refused.why


class WsgiInstance:
    """A WSGI app as the frameworks make it."""

    def __call__(self, environ: Any, start_response: Any) -> list[bytes]:
        """Serve WSGI."""
        return []

    def wsgi_app(self, environ: Any, start_response: Any) -> list[bytes]:
        """Serve WSGI."""
        return []


class WsgiClass:
    """A class that is the app: each request makes one, and iterates over it."""

    def __init__(self, environ: Any, start_response: Any) -> None:
        """Take the request."""


@wraps(wsgi)
def decorated_wsgi(*args: Any, **kwargs: Any) -> Any:
    """Serve WSGI through a decorator."""
    return wsgi(*args, **kwargs)


def with_a_default(environ: Any, start_response: Any, exc_info: Any = None) -> list[bytes]:
    """Serve WSGI, and take one more."""
    return []


def _with_prefix(prefix: Any, env: Any, start: Any) -> list[bytes]:
    return []


WSGI = [
    wsgi,
    decorated_wsgi,
    with_a_default,
    lambda env, start: [],
    WsgiInstance(),
    WsgiInstance().wsgi_app,
    WsgiClass,
    partial(wsgi),
    partial(_with_prefix, "/shop"),
]


@pytest.mark.parametrize("app", WSGI, ids=_name)
def test_a_wsgi_app(app: Callable[..., object]) -> None:
    """A WSGI app is refused, with a command that works."""
    said = _refused(app, "web:app", "shop", 9000)
    assert said.startswith("'web:app' is a WSGI app, which takes (")
    assert "lifecycle run --service shop:9000 -- gunicorn --bind 0.0.0.0:9000 web:app" in said


class TwoCalls:
    """An ASGI 2 app."""

    def __init__(self, scope: Any) -> None:
        """Take the scope."""

    async def __call__(self, receive: Any, send: Any) -> None:
        """Serve."""


def two_calls(scope: Any) -> Any:
    """Take the scope, and return what serves."""
    return TwoCalls(scope)


@pytest.mark.parametrize("app", [TwoCalls, two_calls], ids=_name)
def test_an_asgi_2_app(app: Callable[..., object]) -> None:
    """The two calls of ASGI 2 are not WSGI: the message names the wrapper."""
    said = _refused(app, "web:app", "", 8080)
    assert said.startswith("'web:app' is an ASGI 2 app")
    assert "guarantee_single_callable(app)" in said


def test_a_wrapped_asgi_2_app() -> None:
    """What the message advises is accepted."""
    assert refusal(single_callable(), "web:app", "", 8080) is None


def create_app(debug: bool = False) -> Any:
    """Make the app."""


async def main(life: Any) -> None:
    """Run."""


def with_settings(settings: Any) -> Any:
    """Make the app."""


async def two(scope: Any, receive: Any) -> None:
    """Serve nobody."""


@pytest.mark.parametrize(
    ("app", "advice"),
    [
        (create_app, "call it in your module"),
        (main, "leave out --asgi"),
        (with_settings, "Name the app itself"),
        (two, "Name the app itself"),
        (two_arguments, "If it is a WSGI app, run its own server instead: lifecycle run"),
    ],
)
def test_another_callable(app: Callable[..., object], advice: str) -> None:
    """A factory, a main, and what fails at each request, are refused with what was meant."""
    said = _refused(app, "web:app", "", 8080)
    assert "is not an ASGI app, because it takes (" in said
    assert advice in said
    assert "is a WSGI app, which" not in said


# Apps that are given as a main, without --asgi


async def a_main(life: Any) -> None:
    """Run."""


async def many(a: Any, b: Any) -> None:
    """Take too much, without being an app."""


def _as_main(app: Callable[..., object], *given: Any) -> str:
    refused = refusal_as_main(app, "web:app", *(given or ("", None)))
    return refused.why if refused else ""


@pytest.mark.parametrize("app", WSGI, ids=_name)
def test_a_wsgi_app_as_main(app: Callable[..., object]) -> None:
    """It is called what it is, with a command that serves it."""
    said = _as_main(app, "orders", 8000)
    assert said.startswith("'web:app' is a WSGI app, which takes (")
    assert said.endswith("--service orders:8000 -- gunicorn --bind 0.0.0.0:8000 web:app")


@pytest.mark.parametrize("app", [plain, returns_a_coroutine, Instance(), Endpoint], ids=_name)
def test_an_asgi_app_as_main(app: Callable[..., object]) -> None:
    """It needs --asgi, and the message has the whole command."""
    assert _as_main(app) == (
        "'web:app' is an ASGI app, which takes (scope, receive, send), and not a main function. "
        "Add --asgi: lifecycle run --asgi web:app"
    )
    assert _as_main(app, "orders", None).endswith("--asgi --service orders web:app")
    said = _as_main(app, "orders", 8000)
    assert said.endswith("--asgi --service orders:8000 --bind 0.0.0.0:8000 web:app")


@pytest.mark.parametrize("app", [a_main, partial(many, 1), anything, many, dict, max], ids=_name)
def test_what_may_be_a_main(app: Callable[..., object]) -> None:
    """It is no app: another check decides whether it is a main."""
    assert _as_main(app) == ""
