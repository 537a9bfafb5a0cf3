"""When the plugin is loaded."""

from __future__ import annotations

import subprocess
import sys

import pytest

CODE = """
import sys
{before}
from lifecycle_opentelemetry.options import Enabled
print(bool(Enabled({enabled!r})))
"""


@pytest.mark.parametrize(
    ("enabled", "before", "variables", "loaded"),
    [
        ("auto", "", {}, False),
        ("auto", "", {"OTEL_SERVICE_NAME": "orders"}, True),
        ("auto", "import opentelemetry.trace", {}, False),
        ("auto", "import opentelemetry.sdk.trace", {}, True),
        ("true", "", {}, True),
        ("false", "import opentelemetry.sdk.trace", {"OTEL_SERVICE_NAME": "orders"}, False),
    ],
)
def test_when_it_is_loaded(
    enabled: str,
    before: str,
    variables: dict[str, str],
    loaded: bool,  # noqa: FBT001
) -> None:
    """An app without OpenTelemetry keeps all the time of its main, even if this is installed."""
    code = CODE.format(before=before, enabled=enabled)
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=variables,
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    assert done.stdout.strip() == str(loaded)


def test_a_wrong_value_is_refused_with_the_right_ones() -> None:
    """As by the other plugins."""
    from lifecycle_opentelemetry.options import Enabled

    with pytest.raises(ValueError, match="must be auto, true or false"):
        Enabled("yes")
