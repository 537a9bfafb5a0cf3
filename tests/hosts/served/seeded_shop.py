"""The same service, for workers whose user may not read where Python's library is."""

from __future__ import annotations

import random

from wsgi_shop import app

__all__ = ["app"]

random.seed(b"a worker does it too, and Python 3.13 imports what it takes only then")
