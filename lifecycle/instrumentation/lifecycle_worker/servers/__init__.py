"""
The servers: one file for each, with everything that is specific to it.

Rules of this folder:

1. A file has one function, `patch_…(module)`, for each module of its server that it patches. It is
   called right after that module was executed, before the importing code sees the module.
2. A patch uses the public API of the server first. Otherwise it uses a named internal, which it
   looks up with `seams.wrap`, `seams.seam` or `seams.needs`. If a version has moved the name, this
   causes a warning, and the worker serves without being counted. A patch looks up all names before
   it changes anything.
3. The decision to close a connection is made once, when the header is written. The same decision
   closes the connection.
"""

from __future__ import annotations

PATCHES: dict[str, tuple[str, str, str]] = {
    "aiohttp.web_protocol": ("aiohttp", "patch_protocol", ""),
    "aiohttp.web_response": ("aiohttp", "patch_response", ""),
    "aiohttp.web_runner": ("aiohttp", "patch_runner", ""),
    "aiohttp.web_server": ("aiohttp", "patch_server", ""),
    "aiohttp.worker": ("aiohttp", "patch_worker", "aiohttp"),
    "daphne.http_protocol": ("daphne", "patch_http", ""),
    "daphne.server": ("daphne", "patch_server", ""),
    "daphne.ws_protocol": ("daphne", "patch_websocket", ""),
    "granian.server.mp": ("granian", "patch_mp", ""),
    "gunicorn.arbiter": ("gunicorn", "patch_arbiter", ""),
    "gunicorn.asgi.protocol": ("gunicorn_asgi", "patch_protocol", ""),
    "gunicorn.http.wsgi": ("gunicorn", "patch_response", ""),
    "gunicorn.workers.base_async": ("gunicorn_gevent", "patch_async", ""),
    "gunicorn.workers.gasgi": ("gunicorn_asgi", "patch_worker", "gunicorn"),
    "gunicorn.workers.ggevent": ("gunicorn_gevent", "patch_gevent", "gunicorn"),
    "gunicorn.workers.gthread": ("gunicorn_gthread", "patch_gthread", "gunicorn"),
    "gunicorn.workers.gtornado": ("tornado", "patch_worker", "tornado"),
    "gunicorn.workers.sync": ("gunicorn", "patch_sync", "gunicorn"),
    "hypercorn.asyncio.run": ("hypercorn", "patch_run", ""),
    "hypercorn.asyncio.tcp_server": ("hypercorn", "patch_connection", ""),
    "hypercorn.protocol": ("hypercorn", "patch_negotiation", ""),
    "hypercorn.protocol.h11": ("hypercorn", "patch_http1", ""),
    "hypercorn.protocol.h2": ("hypercorn", "patch_http2", ""),
    "hypercorn.run": ("hypercorn", "patch_command", ""),
    "sanic.server.runners": ("sanic", "patch_runners", "sanic"),
    "tornado.http1connection": ("tornado", "patch_connection", ""),
    "tornado.httpserver": ("tornado", "patch_server", ""),
    "tornado.websocket": ("tornado", "patch_websocket", ""),
    "uvicorn.config": ("uvicorn", "patch_config", ""),
    "uvicorn.protocols.http.h11_impl": ("uvicorn", "patch_protocol", ""),
    "uvicorn.protocols.http.httptools_impl": ("uvicorn", "patch_protocol", ""),
    "uvicorn.server": ("uvicorn", "patch_server", ""),
    "waitress.channel": ("waitress", "patch_channel", ""),
    "waitress.server": ("waitress", "patch_server", ""),
    "waitress.task": ("waitress", "patch_task", ""),
    "werkzeug.serving": ("werkzeug", "patch_serving", ""),
}
"""
For each module: the file in this folder, its function, and the name of the server:

    "waitress.server": ("waitress", "patch_server", "waitress"),

The name is empty if the import alone does not mean that this process, or its child, will serve. The
file then calls `worker.expects` itself when that is known, or never.
"""
