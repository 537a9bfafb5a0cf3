"""
An ASGI app that needs no change:

    lifecycle run --app-dir examples --asgi asgi_app:app --bind 0.0.0.0:8080 --service orders

Or, from this folder, with the server of your choice and several workers:

    lifecycle run --service orders:8080 -- uvicorn --workers 2 --host 0.0.0.0 --port 8080 asgi_app:app
    lifecycle run --service orders:8080 -- granian --interface asgi --workers 2 --host 0.0.0.0 --port 8080 asgi_app:app

Put any ASGI app in the place of `app`, for example of Starlette, FastAPI, Litestar or Django.
"""

from __future__ import annotations


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
        return
    body = b"ok\n"
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def lifespan(receive, send):
    await receive()  # startup: open pools here; READY comes after it
    await send({"type": "lifespan.startup.complete"})
    await receive()  # shutdown: comes when the drain is over
    await send({"type": "lifespan.shutdown.complete"})
