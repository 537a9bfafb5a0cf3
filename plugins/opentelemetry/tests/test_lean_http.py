"""The exporter for OTLP over HTTP without `requests`, where that changes nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from lifecycle_opentelemetry.lean_http import lean
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

KINDS = [OTLPSpanExporter, OTLPMetricExporter]
IMPORTED = """
import sys
from lifecycle_opentelemetry.own import exporter_classes
from lifecycle_opentelemetry.settings import Signal

environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": sys.argv[1]}
for signal in Signal:
    [kind() for kind in exporter_classes(signal, environ)]
print(sorted({"requests", "urllib3"} & set(sys.modules)))
"""


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize(
    ("address", "imported"),
    [("http://localhost:4318", ["urllib3"]), ("https://localhost:4318", ["requests", "urllib3"])],
)
def test_what_is_imported(address: str, imported: list[str]) -> None:
    """With TLS, `requests` brings its own certificates of authorities."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED, address], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"{imported}\n"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("address", ["", "http://collector:4318"])
def test_over_plain_http(kind: type, address: str) -> None:
    """It is a class of the same name, because the SDK looks at classes."""
    made = lean(kind, address, {})
    assert made is not kind
    assert issubclass(made, kind)
    assert (made.__name__, made.__module__) == (kind.__name__, kind.__module__)


NEED_IT = [
    ("https://collector:4318", {}),
    ("http://user:password@collector:4318", {}),
    ("http://c:4318", {"OTEL_EXPORTER_OTLP_CERTIFICATE": "/ca.pem"}),
    ("http://c:4318", {"OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY": "/key.pem"}),
    ("http://c:4318", {"OTEL_PYTHON_EXPORTER_OTLP_HTTP_CREDENTIAL_PROVIDER": "mine"}),
]


@pytest.mark.parametrize(("address", "environ"), NEED_IT)
def test_settings_that_need_requests(address: str, environ: dict[str, str]) -> None:
    """The exporter is used as it is."""
    assert lean(OTLPSpanExporter, address, environ) is OTLPSpanExporter


def test_a_netrc(tmp_path: Path) -> None:
    """Only `requests` reads the user and the password in it."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine collector login user password secret\n")
    environ = {"NETRC": str(netrc)}
    assert lean(OTLPSpanExporter, "http://collector:4318", environ) is OTLPSpanExporter


def test_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only `requests` reads the variables for it."""
    monkeypatch.setenv("HTTP_PROXY", "http://proxy:3128")
    assert lean(OTLPSpanExporter, "http://collector:4318", {}) is OTLPSpanExporter


def test_an_exporter_that_cannot_do_without() -> None:
    """As an older version, or a later one."""

    class Other:
        def __init__(self, endpoint: str = "") -> None:
            pass

    assert lean(Other, "http://collector:4318", {}) is Other
