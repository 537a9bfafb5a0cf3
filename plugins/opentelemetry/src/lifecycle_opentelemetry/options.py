"""The options of the plugin."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

PREFIX: Final = "OTEL_"
"""The start of the names of OpenTelemetry's variables."""
SDK: Final = "opentelemetry.sdk"


class Enabled(StrEnum):
    """
    Whether the plugin is loaded. As a boolean, it is the answer for this process.

    Attributes:
        AUTO: Loaded if a variable `OTEL_*` is set, or if the SDK is already imported.
        TRUE: Always loaded.
        FALSE: Never loaded.
    """

    AUTO = "auto"
    TRUE = "true"
    FALSE = "false"

    @classmethod
    def _missing_(cls, value: object) -> Enabled:  # noqa: ARG003 - the core adds it
        raise ValueError("must be auto, true or false")

    def __bool__(self) -> bool:
        if self is Enabled.AUTO:
            return SDK in sys.modules or any(name.startswith(PREFIX) for name in os.environ)
        return self is Enabled.TRUE


@dataclass(frozen=True)
class OpenTelemetryOptions:
    """The options `LIFECYCLE_OPENTELEMETRY_*`."""

    enabled: Enabled = field(
        default=Enabled.AUTO,
        metadata={
            "describe": "auto, true or false. auto: if a variable OTEL_* is set, or if the SDK is "
            "imported when pod-lifecycle starts."
        },
    )
    traces: bool = field(
        default=True, metadata={"describe": "Whether the start and the drain become spans."}
    )
    metrics: bool = field(default=True, metadata={"describe": "Whether metrics are exported."})
