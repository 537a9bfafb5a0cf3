"""What all tests have in common."""

import pytest

# It draws from the global `random` when imported, and the log imports it on its own thread:
# Hypothesis would take that for a strategy's doing.
import structlog as structlog

# Before any folder's conftest imports them.
pytest.register_assert_rewrite("tests.process.kit", "tests.process.rollout", "tests.testing.kit")
