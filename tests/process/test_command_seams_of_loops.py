"""The files of the servers on an asyncio loop: what they need is there, and what is not is told."""

from __future__ import annotations

import importlib
import subprocess
import sys
from types import SimpleNamespace

import pytest

from lifecycle.instrumentation.lifecycle_worker.seams import Moved
from lifecycle.instrumentation.lifecycle_worker.servers import PATCHES

FILES = {"aiohttp", "daphne", "hypercorn", "sanic", "tornado"}
MODULES = sorted(name for name, (file, _, _) in PATCHES.items() if file in FILES)
FITS = """
import importlib, sys, warnings
from lifecycle.instrumentation.lifecycle_worker.servers import PATCHES
for name in sys.argv[1:]:
    module = importlib.import_module(name)
    file, function, _ = PATCHES[name]
    servers = "lifecycle.instrumentation.lifecycle_worker.servers." + file
    getattr(importlib.import_module(servers), function)(module)
    print(name)
"""


def test_the_installed_versions_fit():
    """Each module of these servers can be changed: no name that is needed has moved."""
    words = [sys.executable, "-c", FITS, *MODULES]
    found = subprocess.run(words, capture_output=True, text=True, check=False, timeout=50)
    assert found.stdout.split() == MODULES, found.stderr


@pytest.mark.parametrize("name", MODULES)
def test_a_version_on_which_something_has_moved(name):
    """It is refused before anything is changed."""
    file, function, _ = PATCHES[name]
    servers = "lifecycle.instrumentation.lifecycle_worker.servers."
    patch = getattr(importlib.import_module(servers + file), function)
    module = SimpleNamespace()
    with pytest.raises(Moved):
        patch(module)
    assert not vars(module)
