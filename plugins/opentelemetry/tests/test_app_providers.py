"""The providers of the app."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

VARIABLES = {
    "spans": "OTEL_PYTHON_TRACER_PROVIDER",
    "metrics": "OTEL_PYTHON_METER_PROVIDER",
    "logs": "OTEL_PYTHON_LOGGER_PROVIDER",
}
CODE = """
import sys
from opentelemetry import _logs, metrics, trace
from lifecycle_opentelemetry.app_providers import app_provider

what = sys.argv[1]
get = {
    "spans": trace.get_tracer_provider,
    "metrics": metrics.get_meter_provider,
    "logs": _logs.get_logger_provider,
}
before = app_provider(what)
provider = get[what]()
print(before, type(provider).__module__, app_provider(what) is provider)
"""


@pytest.mark.parametrize("what", VARIABLES)
def test_a_provider_by_a_variable_is_made_by_the_app(what: str) -> None:
    """Not by the plugin, which only looks whether there is one."""
    name = "sdk_" + VARIABLES[what].removeprefix("OTEL_PYTHON_").lower()
    done = subprocess.run(
        [sys.executable, "-c", CODE, what],
        env=os.environ | {VARIABLES[what]: name},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    before, module, same = done.stdout.split()
    assert (before, same) == ("None", "True"), done.stderr
    assert module.startswith("opentelemetry.sdk."), done.stderr
