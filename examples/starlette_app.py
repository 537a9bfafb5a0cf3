"""
A Starlette app that knows nothing of a lifecycle, from this folder:

    lifecycle run --asgi starlette_app:app --bind 0.0.0.0:8080 --service orders

Where uvicorn's own command has to start it, `Starlette(middleware=[Middleware(Managed,
service="orders", port=8080)])` says the rest, with `Managed` from `lifecycle.asgi`.
"""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route


async def orders(request: Request) -> PlainTextResponse:  # noqa: ARG001 - Starlette's signature
    return PlainTextResponse("ok\n")


app = Starlette(routes=[Route("/", orders)])
