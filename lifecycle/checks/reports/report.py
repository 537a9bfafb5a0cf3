"""The result of a check."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lifecycle.checks.reading.inputs import STDIN
from lifecycle.checks.reading.not_manifests import Foreign
from lifecycle.checks.rule import Finding


@dataclass(frozen=True)
class Report:
    """
    The result of a check, before it is written as text, JSON or SARIF.

    Attributes:
        findings: The places where rules are broken.
        unreadable: Problems with reading, by file. They make the command fail.
        notes: Other remarks for the author, by file. They do not make the command fail.
        workloads: Number of complete workloads that were checked.
        partial: Number of patches and the like. They were judged only by what they contain.
        idle: Number of files without a workload.
        passed_over: Number of these files that hold no Kubernetes object, by kind of file.
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
        """Whether everything could be read."""
        return not any(self.unreadable.values())


def shown(file: str) -> str:
    """Return the name of a file as messages show it."""
    return "(stdin)" if file == STDIN else file
