"""What all tests have in common."""

from __future__ import annotations

import os
import signal
from typing import Final

import pytest

# It draws from the global `random` when imported, and the log imports it on its own thread:
# Hypothesis would take that for a strategy's doing.
import structlog as structlog

# Before any folder's conftest imports them.
pytest.register_assert_rewrite("tests.process.kit", "tests.process.rollout", "tests.testing.kit")

INHERITED: Final = "TESTS_IGNORE_SIGNALS"
"""Where a worker of pytest-xdist finds what its parent has inherited."""
PYTHONS_OWN: Final = frozenset({signal.SIGPIPE, signal.SIGXFSZ})
"""What Python ignores by itself, and gives back to its children."""


def ignore_without_handing_on() -> None:
    """
    Ignore what this process was started to ignore (`nohup`, `&` in a script), but no child of it.

    An ignored signal stays ignored in every process started from here, for which no container
    runtime would do that; one that is caught, by a handler that does nothing, does not.
    """
    ours = signal.valid_signals() - PYTHONS_OWN
    ignored = {int(each) for each in ours if signal.getsignal(each) is signal.SIG_IGN}
    ignored |= set(map(int, os.environ.get(INHERITED, "").split()))
    for number in ignored:
        signal.signal(number, lambda *_: None)
    os.environ[INHERITED] = " ".join(map(str, sorted(ignored)))


ignore_without_handing_on()
