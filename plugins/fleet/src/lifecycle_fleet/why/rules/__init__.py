"""
The rules on pods, the cause before its consequences.

A pod without a node does not pull an image. A container that does not start is not probed. A probe of
the wrong port does not show the answer of the app.
"""

from __future__ import annotations

from typing import Final

from lifecycle_fleet.why.facts import Facts
from lifecycle_fleet.why.finding import Rule
from lifecycle_fleet.why.rules import (
    app,
    crashes,
    evictions,
    exits,
    gate,
    images,
    leaving,
    not_ready,
    placing,
    probes,
    services,
)

TABLES: Final = {
    "The pod cannot be placed on a node": placing.RULES,
    "A container cannot be created": images.RULES,
    "A probe of the kubelet fails": probes.RULES,
    "The readiness gate is not set": gate.RULES,
    "The app is not ready": app.RULES,
    "A container ends": [*crashes.RULES, *exits.RULES],
    "The pod is not gone": leaving.RULES,
    "The node cannot be drained": evictions.RULES,
    "Clients do not find the pod": services.RULES,
    "No known cause applies": not_ready.RULES,
}
"""The rules by subject. The name of each subject is a heading of the page."""

_LATER: Final = ("starting",)

RULES: Final[tuple[Rule[Facts], ...]] = tuple(
    sorted(
        (rule for table in TABLES.values() for rule in table),
        key=lambda rule: (rule.name == "unexplained", rule.name in _LATER),
    )
)
"""All rules, by rank."""
