"""The resource: from the Downward API, and never against the user."""

from __future__ import annotations

import pytest
from lifecycle_opentelemetry.detector import PodDetector
from lifecycle_opentelemetry.resource import pod_attributes, resource

POD = {
    "POD_NAME": "orders-7d9-x",
    "POD_NAMESPACE": "shop",
    "POD_UID": "1-2-3",
    "NODE_NAME": "node-1",
}


@pytest.fixture(autouse=True)
def no_variables(monkeypatch):
    """Of this machine."""
    for name in (*POD, "OTEL_RESOURCE_ATTRIBUTES", "OTEL_SERVICE_NAME"):
        monkeypatch.delenv(name, raising=False)


def test_the_attributes_of_a_pod():
    """By the semantic conventions."""
    found = resource(POD, ["orders", "invoices"]).attributes
    expected = {
        "service.name": "orders",
        "service.namespace": "shop",
        "service.instance.id": "shop.orders-7d9-x",
        "k8s.pod.name": "orders-7d9-x",
        "k8s.pod.uid": "1-2-3",
        "k8s.namespace.name": "shop",
        "k8s.node.name": "node-1",
        "telemetry.sdk.language": "python",
    }
    assert expected.items() <= found.items()


def test_what_the_user_says_wins(monkeypatch):
    """Attribute by attribute."""
    monkeypatch.setenv("OTEL_SERVICE_NAME", "mine")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.instance.id=7,k8s.node.name=n,a=b")
    found = resource(POD, ["orders"]).attributes
    assert found["service.name"] == "mine"
    assert found["service.instance.id"] == "7"
    assert found["k8s.node.name"] == "n"
    assert found["a"] == "b"
    assert found["k8s.pod.name"] == "orders-7d9-x"


def test_outside_kubernetes_and_without_services():
    """There is what the SDK says by itself."""
    assert pod_attributes({}) == {}
    found = resource({}, []).attributes
    assert str(found["service.name"]).startswith("unknown_service")


def test_the_detector_is_for_providers_of_the_app(monkeypatch):
    """The SDK finds it by its name."""
    from opentelemetry.sdk.resources import Resource

    monkeypatch.setenv("OTEL_EXPERIMENTAL_RESOURCE_DETECTORS", "pod_lifecycle")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.namespace=mine")
    for name, value in POD.items():
        monkeypatch.setenv(name, value)
    found = Resource.create().attributes
    assert found["k8s.pod.name"] == "orders-7d9-x"
    assert found["service.namespace"] == "mine"
    assert PodDetector().detect().attributes["k8s.node.name"] == "node-1"
