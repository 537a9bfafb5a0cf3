"""What there is to say when everything was checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lifecycle.checks.reading.inputs import STDIN
from lifecycle.checks.reading.not_manifests import Foreign
from lifecycle.checks.rule import Finding


@dataclass(frozen=True)
class Report:
    """
    What there is to say.

    Attributes:
        findings: Where rules are broken.
        unreadable: By file, what could not be read, and why.
        notes: By file, what else its author should know: nothing that makes the command fail.
        workloads: How many whole workloads were checked.
        partial: How many are patches and the like, and were judged by what they say alone.
        idle: How many files hold no workload.
        passed_over: Of these, how many hold no Kubernetes object, by what they are.
    """

    findings: Sequence[Finding]
    unreadable: Mapping[str, Sequence[str]] = field(default_factory=dict)
    notes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    workloads: int = 0
    partial: int = 0
    idle: int = 0
    passed_over: Mapping[Foreign, int] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether everything was read."""
        return not any(self.unreadable.values())


def shown(file: str) -> str:
    """Return a file as messages name it."""
    return "(stdin)" if file == STDIN else file
