"""
A Starlette app without changes. Run it from this folder:

    lifecycle run --asgi starlette_app:app --bind 0.0.0.0:8080 --service orders

If uvicorn's own command must start the app, write `Starlette(middleware=[Middleware(Managed,
service="orders", port=8080)])`, with `Managed` from `lifecycle.asgi`.
"""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route


async def orders(request: Request) -> PlainTextResponse:  # noqa: ARG001 - Starlette's signature
    return PlainTextResponse("ok\n")


app = Starlette(routes=[Route("/", orders)])
