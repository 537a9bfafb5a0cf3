"""A resource detector for apps that have their own providers."""

from __future__ import annotations

import os

from opentelemetry.sdk.resources import OTELResourceDetector, Resource, ResourceDetector

from lifecycle_opentelemetry.resource import pod_attributes


class PodDetector(ResourceDetector):
    """
    Detects the attributes of the pod from the variables of the Downward API.

    Set `OTEL_EXPERIMENTAL_RESOURCE_DETECTORS=pod_lifecycle` to use it.
    """

    def detect(self) -> Resource:
        said = OTELResourceDetector().detect().attributes  # in older SDKs, a detector would win
        found = pod_attributes(os.environ)
        return Resource({name: value for name, value in found.items() if name not in said})
