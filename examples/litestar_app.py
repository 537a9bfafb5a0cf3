"""
A Litestar app that knows nothing of a lifecycle, from this folder:

    lifecycle run --asgi litestar_app:app --bind 0.0.0.0:8080 --service orders

Where uvicorn's own command has to start it, the app is wrapped: `app = Managed(Litestar([...]),
service="orders", port=8080)`. As a Litestar middleware it would not see the lifespan.
"""

from __future__ import annotations

from litestar import Litestar, MediaType, get


@get("/", media_type=MediaType.TEXT)
async def orders() -> str:
    return "ok\n"


app = Litestar([orders])
