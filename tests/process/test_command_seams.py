"""What the instrumentation takes for granted of each server: where it has moved is seen here."""

from __future__ import annotations

import importlib.util

import pytest

from lifecycle.instrumentation.lifecycle_worker.servers import PATCHES
from tests.unit.instrumentation.conftest import command
from tests.unit.instrumentation.interpreters import Parent

__all__ = ["command"]


def installed() -> list[str]:
    """Return the servers' files of which a server is there."""
    known = {(name.partition(".")[0], file) for name, (file, _, _) in PATCHES.items()}
    return sorted({file for name, file in known if importlib.util.find_spec(name)})


@pytest.mark.parametrize("file", installed())
def test_every_seam_is_there(command: Parent, file: str) -> None:
    """All that a server's file needs of it, the installed version has: else there is a warning."""
    modules = [name for name, known in PATCHES.items() if known[0] == file]
    tried = "\n".join(
        f"try: import {each}\nexcept ModuleNotFoundError as error:"
        f" assert error.name not in {each!r}, error"
        for each in modules
    )

    done = command.run(tried)

    assert done.returncode == 0, done.stderr
    assert "lifecycle:" not in done.stderr
    servers = {known[2] for known in PATCHES.values() if known[0] == file and known[2]}
    assert {line for line in command.told() if line != "hello"} == {
        f"expects {each}" for each in servers
    }
