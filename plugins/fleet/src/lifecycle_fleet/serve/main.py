"""
The server, as an ASGI app for `lifecycle run --asgi lifecycle_fleet.serve.main:app`.

`lifecycle fleet serve` starts it so. The probes, the drain, the signals and the limits of
connections are those of pod-lifecycle.
"""

from __future__ import annotations

import os
from typing import Final

from lifecycle_fleet.serve.app import App
from lifecycle_fleet.serve.settings import from_environ

app: Final = App(from_environ(os.environ))
