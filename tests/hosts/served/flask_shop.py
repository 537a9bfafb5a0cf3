"""The same service with Flask."""

from __future__ import annotations

import time

from flask import Flask, Response, request
from shop import FAST, PIECES, SLOW
from wsgi_shop import pieces

app = Flask(__name__)


@app.route("/", methods=["GET", "POST"], defaults={"path": ""})
@app.route("/<path:path>", methods=["GET", "POST"])
def serve(path):
    path = f"/{path}"
    if path in ("/", "/slow"):
        time.sleep(SLOW if path == "/slow" else FAST)
    if path in PIECES:
        return Response(pieces(path), mimetype="text/plain")
    return Response(request.get_data() or b"hello", mimetype="text/plain")
