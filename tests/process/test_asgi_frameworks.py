"""The apps of the frameworks: `lifecycle run --asgi` serves some, and refuses the others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lifecycle.process.asgi_callable import Refusal, refusal, refusal_as_main


def fastapi_app() -> Any:
    from fastapi import FastAPI

    return FastAPI()


def starlette_app() -> Any:
    from starlette.applications import Starlette
    from starlette.middleware.gzip import GZipMiddleware

    return GZipMiddleware(Starlette())


def litestar_app() -> Any:
    from litestar import Litestar

    return Litestar([])


def sanic_app() -> Any:
    from sanic import Sanic

    return Sanic("asgi_callable")


def django_app() -> Any:
    from django.core.handlers.asgi import ASGIHandler

    return ASGIHandler.__new__(ASGIHandler)


def adapted_flask() -> Any:
    from asgiref.wsgi import WsgiToAsgi
    from flask import Flask

    return WsgiToAsgi(Flask("adapted"))


def flask_app() -> Any:
    from flask import Flask

    return Flask("refused")


def flask_behind_a_proxy() -> Any:
    from flask import Flask
    from werkzeug.middleware.proxy_fix import ProxyFix

    return ProxyFix(Flask("refused"))


def django_wsgi() -> Any:
    from django.core.handlers.wsgi import WSGIHandler

    return WSGIHandler.__new__(WSGIHandler)


FRAMEWORKS = [
    fastapi_app,
    starlette_app,
    litestar_app,
    sanic_app,
    django_app,
    adapted_flask,
]
WSGI_FRAMEWORKS = [flask_app, flask_behind_a_proxy, django_wsgi]


def _why(refused: Refusal | None) -> str:
    assert refused is not None
    return refused.why


@pytest.mark.parametrize("make", FRAMEWORKS)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_an_asgi_framework(make: Callable[[], Any]) -> None:
    """The apps of the frameworks, and WSGI apps behind an adapter, are never refused."""
    assert refusal(make(), "web:app", "", 8080) is None


@pytest.mark.parametrize("make", WSGI_FRAMEWORKS)
def test_a_wsgi_framework(make: Callable[[], Any]) -> None:
    """The apps of the WSGI frameworks are refused; a service without a name is a word to replace."""
    said = _why(refusal(make(), "mysite.wsgi:application", "", None))
    assert "is a WSGI app, which takes (environ, start_response)" in said
    assert "--service NAME:8080 -- gunicorn" in said
    assert "mysite.asgi:application in Django" in said


@pytest.mark.parametrize("make", WSGI_FRAMEWORKS)
def test_a_wsgi_framework_as_main(make: Callable[[], Any]) -> None:
    """So are the apps of the frameworks; a service without a name is a word to replace."""
    assert _why(refusal_as_main(make(), "web:app", "", None)) == (
        "'web:app' is a WSGI app, which takes (environ, start_response), and not a main function. "
        "Run the app's own server instead: lifecycle run --service NAME:8080 -- gunicorn --bind "
        "0.0.0.0:8080 web:app"
    )


@pytest.mark.parametrize("make", [fastapi_app, starlette_app, litestar_app, django_app])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_an_asgi_framework_as_main(make: Callable[[], Any]) -> None:
    """The apps of the frameworks are known as ASGI apps."""
    assert "Add --asgi" in _why(refusal_as_main(make(), "web:app", "", None))
