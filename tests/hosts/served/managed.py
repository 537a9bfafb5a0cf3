"""An app with a lifecycle inside, for a server that somebody else's command starts."""

from __future__ import annotations

import importlib
import logging
import os

from lifecycle.asgi import Managed

logging.basicConfig()
logging.getLogger("lifecycle").setLevel("INFO")

PORT = int(os.environ["PORT"])

app = importlib.import_module(os.environ["SHOP"]).app
if os.environ["HOW"] == "added":
    app.add_middleware(Managed, service="shop", port=PORT)
else:
    patience = float(os.environ.get("RECYCLE_TIMEOUT", "30"))
    app = Managed(app, service="shop", port=PORT, recycle_timeout=patience)
