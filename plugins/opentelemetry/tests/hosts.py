"""The hosts of an app, each with an app that has its own provider and records until the end."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.process.kit import QUICK, App, ask, free_port, wait_for

UNHURRIED = QUICK | {"LIFECYCLE_STOP_TIMEOUT": "5", "LIFECYCLE_GRACE_PERIOD": "20"}
"""Time to import the SDK at the end, on a busy machine."""

SETUP = """
import os
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(), schedule_delay_millis=60_000))
if os.environ.get("OWN_PROVIDER"):
    trace.set_tracer_provider(provider)
tracer = trace.get_tracer("shop")
providers = [provider]

if os.environ.get("ALL_SIGNALS"):
    from opentelemetry import _logs, metrics
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    meters = MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())])
    metrics.set_meter_provider(meters)
    logs = LoggerProvider()
    logs.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter(), 60_000))
    _logs.set_logger_provider(logs)
    providers += [meters, logs]


def say(text):
    for each in providers[2:]:
        each.get_logger("shop").emit(body=text)


def shut_down():
    for each in providers:
        each.shutdown()
"""
"""The app sends its spans once a minute, so only a flush sends those of a short test."""

MAIN = """
import asyncio, lifecycle
import setup

async def main(life):
    life.export("orders", port=8080)
    await life.ready()
    await life.drained()
    with setup.tracer.start_as_current_span("last words"):
        pass

if __name__ == "__main__":
    lifecycle.run(main)
"""
WEB = """
import os
import setup

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                with setup.tracer.start_as_current_span("last words"):
                    setup.say("last words")
                if os.environ.get("SHUT_DOWN"):
                    setup.shut_down()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    if scope["type"] == "http":
        with setup.tracer.start_as_current_span("a request"):
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"hello"})
"""
MANAGED = """
import os
from lifecycle.asgi import Managed, Middleware
import web

app = Managed(Middleware(web.app), service="orders", port=int(os.environ["PORT"]))
"""
WSGI = """
import setup

def app(environ, start_response):
    with setup.tracer.start_as_current_span("a request"):
        start_response("200 OK", [("Content-Length", "5")])
        return [b"hello"]
"""
AIOHTTP = """
import sys
import lifecycle, lifecycle_aiohttp
import setup
from aiohttp import web

async def hello(request):
    with setup.tracer.start_as_current_span("a request"):
        return web.Response(text="hello")

async def main(life):
    app = web.Application()
    app.router.add_get("/", hello)
    lifecycle_aiohttp.setup(app, life)
    runner = web.AppRunner(app, handle_signals=False)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", int(sys.argv[1])).start()
    life.export("orders", port=int(sys.argv[1]))
    await life.ready()
    await life.drained()
    await runner.cleanup()
    with setup.tracer.start_as_current_span("last words"):
        pass

lifecycle.run(main)
"""
GRPC = """
import os
import grpc
import lifecycle, lifecycle_grpc
import setup

async def main(life):
    server = grpc.aio.server(
        interceptors=[lifecycle_grpc.Interceptor(life)], options=lifecycle_grpc.options(life)
    )
    lifecycle_grpc.attach(server, life)
    port = int(os.environ["PORT"])
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    life.export("orders", port=port, protocol="grpc")
    await life.ready()
    await life.drained()
    with setup.tracer.start_as_current_span("last words"):
        pass

lifecycle.run(main)
"""
DJANGO = """
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path
import setup

settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="for tests alone")

def hello(request):
    with setup.tracer.start_as_current_span("a request"):
        return HttpResponse(b"hello")

urlpatterns = [path("", hello)]
app = get_wsgi_application()
"""


class Host(NamedTuple):
    """One way to run the app; `{port}` in its words is the port, if it has one."""

    words: Sequence[str]
    codes: Sequence[int] = (0,)
    is_command: bool = False

    @property
    def serves(self) -> bool:
        return any("{port}" in word for word in self.words)


_RUN = ("-m", "lifecycle", "run")
_BIND = ("--bind", "127.0.0.1:{port}")
_COMMAND = (*_RUN, "--service", "orders:{port}", "--", sys.executable, "-m")
_UVICORN = ("uvicorn", "--host", "127.0.0.1", "--port", "{port}")
_GUNICORN = ("gunicorn", *_BIND, "-w", "2", "--threads", "2")
_GRANIAN = ("granian", "--interface", "asgi", "--host", "127.0.0.1", "--port", "{port}")

HOSTS = {
    "lifecycle.run": Host(("main.py",)),
    "run": Host((*_RUN, "main:main")),
    "run --asgi": Host((*_RUN, "--asgi", *_BIND, "--service", "orders", "web:app")),
    "run --asgi, uvicorn": Host(
        (*_RUN, "--asgi", "--server", "uvicorn", *_BIND, "--service", "orders", "web:app")
    ),
    "aiohttp": Host(("shop.py", "{port}")),
    "grpc.aio": Host(("calls.py",)),
    "Managed": Host(("-m", *_UVICORN, "managed:app"), (0, -15)),
    "uvicorn": Host((*_COMMAND, *_UVICORN, "web:app"), is_command=True),
    "uvicorn, 2 workers": Host(
        (*_COMMAND, *_UVICORN, "--workers", "2", "web:app"), is_command=True
    ),
    "gunicorn": Host((*_COMMAND, *_GUNICORN, "wsgi:app"), is_command=True),
    "gunicorn, Django": Host((*_COMMAND, *_GUNICORN, "site_of_django:app"), is_command=True),
    "granian": Host((*_COMMAND, *_GRANIAN, "web:app"), is_command=True),
}


def run(host: Host, start: Callable[..., App], folder: Path, **env: str) -> App:
    """Start a host, and wait until it is READY and, if it serves, has served a request."""
    sources = {"setup": SETUP, "main": MAIN, "web": WEB, "managed": MANAGED, "wsgi": WSGI}
    sources |= {"shop": AIOHTTP, "calls": GRPC, "site_of_django": DJANGO}
    for name, source in sources.items():
        (folder / f"{name}.py").write_text(source)
    port = str(free_port())
    words = [word.format(port=port) for word in host.words]
    app = start(words, env={"PORT": port, "PYTHONPATH": str(folder), **env})
    app.wait_state("ready")
    if host.serves:
        assert wait_for(lambda: ask(int(port)), 20, "an answer") == (200, "hello")
    return app
