"""
An app that your server's own command starts. Run it from this folder:

    uvicorn managed:app --host 0.0.0.0 --port 8080
    hypercorn managed:app --bind 0.0.0.0:8080
    granian managed:app --interface asgi --host 0.0.0.0 --port 8080

The server handles the signals, so the pod needs the preStop hook `lifecycle prestop`.
Use one worker, because two workers cannot share one probe port.
"""

from __future__ import annotations

import os

from lifecycle.asgi import Managed

PORT = int(os.environ.get("PORT", "8080"))


async def api(scope, receive, send):  # noqa: ARG001 - ASGI's signature
    if scope["type"] != "http":
        raise NotImplementedError("this app has no lifespan and no WebSockets")
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"3")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"ok\n"})


app = Managed(api, service="orders", port=PORT)
