"""Apps whose requests hang where the test can see it, for each kind of server."""

from __future__ import annotations

from typing import Final

HOLDS: Final = """
import asyncio, time

def fetch():
    time.sleep(60)

async def await_it():
    await asyncio.sleep(60)

def wsgi(environ, start_response):
    if environ["PATH_INFO"].startswith("/hold"):
        fetch()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"ok"]

async def asgi(scope, receive, send):
    if scope["type"] == "lifespan":
        while (message := await receive())["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
    if scope["path"].startswith("/hold"):
        await await_it()
    if scope["path"].startswith("/block"):
        fetch()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})

async def rsgi(scope, proto):
    if scope.path.startswith("/hold"):
        await await_it()
    if scope.path.startswith("/block"):
        fetch()
    proto.response_str(200, [], "ok")
"""

AIOHTTP: Final = """
import sys
from aiohttp import web
from holds import await_it, fetch

async def serve(request):
    if request.path.startswith("/hold"):
        await await_it()
    if request.path.startswith("/block"):
        fetch()
    return web.Response(text="ok")

app = web.Application()
app.router.add_get("/{any:.*}", serve)
if __name__ == "__main__":
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None)
"""

TORNADO: Final = """
import asyncio, sys
import tornado.web
from holds import await_it, fetch

class Serve(tornado.web.RequestHandler):
    async def get(self):
        if self.request.path.startswith("/hold"):
            await await_it()
        if self.request.path.startswith("/block"):
            fetch()
        self.write("ok")

async def main():
    tornado.web.Application([(".*", Serve)]).listen(int(sys.argv[1]), "127.0.0.1")
    await asyncio.Event().wait()

asyncio.run(main())
"""

SANIC: Final = """
from sanic import Sanic, text
from holds import await_it, fetch

app = Sanic("holding")

@app.get("/<path:path>")
async def serve(request, path):
    if path.startswith("hold"):
        await await_it()
    if path.startswith("block"):
        fetch()
    return text("ok")
"""

FILES: Final = {
    "holds.py": HOLDS,
    "aiohttp_holds.py": AIOHTTP,
    "tornado_holds.py": TORNADO,
    "sanic_holds.py": SANIC,
}

_GUNICORN: Final = ("-m", "gunicorn", "-b", "127.0.0.1:{port}", "--no-control-socket", "-t", "90")
_GRANIAN: Final = ("-m", "granian", "--port", "{port}", "--no-log", "--interface")
_UVICORN: Final = ("-m", "uvicorn", "--port", "{port}", "--log-level", "warning")
_HYPERCORN: Final = ("-m", "hypercorn", "--bind", "127.0.0.1:{port}")
_SANIC: Final = ("-m", "sanic", "sanic_holds:app", "--port", "{port}", "--no-motd")

THREADS: Final = {
    "gunicorn sync": (*_GUNICORN, "holds:wsgi"),
    "gunicorn gthread": (*_GUNICORN, "--threads", "4", "holds:wsgi"),
    "gunicorn gevent": (*_GUNICORN, "-k", "gevent", "holds:wsgi"),
    "granian wsgi": (*_GRANIAN, "wsgi", "holds:wsgi"),
    "waitress": ("-m", "waitress", "--listen", "127.0.0.1:{port}", "holds:wsgi"),
    "werkzeug": (
        "-c",
        "from werkzeug.serving import run_simple; from holds import wsgi; "
        "run_simple('127.0.0.1', {port}, wsgi, threaded=True)",
    ),
}
"""Servers of WSGI apps."""
LOOPS: Final = {
    "uvicorn": (*_UVICORN, "holds:asgi"),
    "uvicorn, two workers": (*_UVICORN, "--workers", "2", "holds:asgi"),
    "gunicorn uvicorn": (*_GUNICORN, "-k", "uvicorn_worker.UvicornWorker", "holds:asgi"),
    "gunicorn asgi": (*_GUNICORN, "-k", "asgi", "holds:asgi"),
    "hypercorn": (*_HYPERCORN, "holds:asgi"),
    "granian asgi": (*_GRANIAN, "asgi", "holds:asgi"),
    "granian rsgi": (*_GRANIAN, "rsgi", "holds:rsgi"),
    "daphne": ("-m", "daphne", "-b", "127.0.0.1", "-p", "{port}", "holds:asgi"),
    "aiohttp": ("aiohttp_holds.py", "{port}"),
    "tornado": ("tornado_holds.py", "{port}"),
    "sanic": (*_SANIC, "--single-process"),
}
"""Servers with an asyncio loop."""
PLACES: Final = {"fetch": "holds.py:5 fetch", "await_it": "holds.py:8 await_it"}
"""The lines at which their requests hang."""
