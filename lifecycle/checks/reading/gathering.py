"""Everything that the command was given, read: files, folders, standard input."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from lifecycle.checks.reading.documents import Document, Reading, read
from lifecycle.checks.reading.folders import Named, files
from lifecycle.checks.reading.inputs import STDIN
from lifecycle.checks.reading.kinds import kind_of
from lifecycle.checks.reading.kustomizations import Kustomizations
from lifecycle.checks.reading.not_manifests import Foreign, of_chart
from lifecycle.checks.reading.yaml_nodes import EXTRA


@dataclass
class Gathered:
    """
    What was read.

    Attributes:
        documents: The Kubernetes objects of all files.
        unreadable: By file, what could not be read, and why.
        notes: By file, what its author should know.
        files: How many files were read.
        passed_over: How many files hold no Kubernetes object, by what they are.
        replicas: How many replicas kustomizations give, by the name of a workload.
    """

    documents: list[Document] = field(default_factory=list)
    unreadable: dict[str, list[str]] = field(default_factory=dict)
    notes: dict[str, list[str]] = field(default_factory=dict)
    files: int = 0
    passed_over: Counter[Foreign] = field(default_factory=Counter)
    replicas: dict[str, float] = field(default_factory=dict)
    _hinted: set[str] = field(default_factory=set)

    def add(self, named: Named, reading: Reading) -> None:
        """Add what a file holds."""
        self.files += 1
        self.documents += reading.documents
        if reading.problems == [EXTRA] and any(EXTRA in said for said in self.unreadable.values()):
            return  # said once
        if reading.problems:
            self.unreadable.setdefault(named.file, []).extend(reading.problems)
            self._hint(named, reading)
        if reading.passed_over is not None:
            self.passed_over[reading.passed_over] += 1
        if not named.walked or reading.documents:
            self.note(named.file, *_sentences(reading))

    def _hint(self, named: Named, reading: Reading) -> None:
        if not named.walked or reading.problems == [EXTRA] or named.walked in self._hinted:
            return
        self._hinted.add(named.walked)
        option = f"--exclude {shlex.quote(named.file)}"
        self.note(named.walked, f"to leave out a file, use --exclude PATTERN, for example {option}")

    def note(self, file: str, *sentences: str) -> None:
        """Add notes."""
        if sentences:
            self.notes.setdefault(file, []).extend(sentences)

    def idle(self) -> int:
        """Return how many files were read and hold no workload."""
        busy = {each.file for each in self.documents if kind_of(each.group, each.kind)}
        return self.files - len(busy.union(self.unreadable))

    def nothing(self, names: Sequence[str]) -> str:
        """Say why there was nothing at all to check; empty if there was."""
        if self.documents or self.unreadable:
            return ""
        held = ", ".join(kind.counted(number) for kind, number in self.passed_over.most_common())
        if not held:
            held = "no *.yaml, *.yml or *.json"
        return f"nothing to check: {'it holds' if len(names) == 1 else 'they hold'} {held}"


def gather(names: Sequence[str], exclude: Sequence[str] = ()) -> Gathered:
    """Read files, and what is in folders; what cannot be read hides nothing else."""
    found = Gathered()
    kustomizations = Kustomizations()
    templates: Counter[str] = Counter()
    for named in files(names, exclude):
        reading = _read(named)
        kustomizations.look(named.file)
        found.add(named, reading)
        if named.walked and reading.passed_over is Foreign.TEMPLATE:
            templates[named.walked] += 1
    found.documents = [  # a kustomization that is met later may name an earlier file
        each if each.partial else replace(each, partial=kustomizations.is_patch(each.file))
        for each in found.documents
    ]
    found.replicas = kustomizations.replicas
    for folder, number in templates.items():
        found.note(
            folder,
            f"{Foreign.TEMPLATE.counted(number)} not checked. "
            "Render them: helm template CHART | lifecycle check -",
        )
    return found


def _read(named: Named) -> Reading:
    if named.problem:
        return Reading(problems=[named.problem])
    if named.file != STDIN and (part := of_chart(named.file)) is not None:
        return Reading(passed_over=part)
    return read(named.file, walked=bool(named.walked))


def _sentences(reading: Reading) -> list[str]:
    if reading.templates and reading.documents:
        return reading.templates
    if reading.passed_over is None:
        return []
    reason = f" ({reading.reason})" if reading.passed_over is Foreign.OTHER else ""
    return [f"{reading.passed_over.sentence}{reason}"]
