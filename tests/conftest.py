"""What all tests have in common."""

import pytest

# Before any folder's conftest imports them.
pytest.register_assert_rewrite("tests.process.kit", "tests.testing.kit")
