"""
A Litestar app without changes. Run it from this folder:

    lifecycle run --asgi litestar_app:app --bind 0.0.0.0:8080 --service orders

If uvicorn's own command must start the app, wrap the app: `app = Managed(Litestar([...]),
service="orders", port=8080)`. A middleware of Litestar would not see the lifespan.
"""

from __future__ import annotations

from litestar import Litestar, MediaType, get


@get("/", media_type=MediaType.TEXT)
async def orders() -> str:
    return "ok\n"


app = Litestar([orders])
