"""All objects from the files, folders and standard input of one run."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from lifecycle.checks.reading.documents import Document, Reading, read
from lifecycle.checks.reading.folders import Named, files
from lifecycle.checks.reading.inputs import STDIN
from lifecycle.checks.reading.kinds import kind_of
from lifecycle.checks.reading.kustomizations import Kustomizations
from lifecycle.checks.reading.not_manifests import Foreign, of_chart
from lifecycle.checks.reading.yaml_nodes import EXTRA

NOTHING: Final = "nothing to check: "
NO_FILE: Final = "no *.yaml, *.yml or *.json file was found in this folder and its subfolders"


@dataclass
class Gathered:
    """
    The content of all files of one run.

    Attributes:
        documents: The Kubernetes objects of all files.
        unreadable: Problems with reading, by file.
        notes: Remarks for the author, by file.
        files: Number of files that were read.
        passed_over: Number of files without a Kubernetes object, by kind of file.
        replicas: Number of replicas from kustomizations, by name of the workload.
    """

    documents: list[Document] = field(default_factory=list)
    unreadable: dict[str, list[str]] = field(default_factory=dict)
    notes: dict[str, list[str]] = field(default_factory=dict)
    files: int = 0
    passed_over: Counter[Foreign] = field(default_factory=Counter)
    replicas: dict[str, float] = field(default_factory=dict)
    _hinted: set[str] = field(default_factory=set)

    def add(self, named: Named, reading: Reading) -> None:
        """
        Add the content of a file.

        Args:
            named: The file.
            reading: The content of the file.
        """
        self.files += 1
        self.documents += reading.documents
        if reading.problems == [EXTRA] and any(EXTRA in said for said in self.unreadable.values()):
            return  # one such message is enough
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
        self.note(named.walked, f"to ignore a file, use --exclude PATTERN, for example {option}")

    def note(self, file: str, *sentences: str) -> None:
        """Add notes about a file."""
        if sentences:
            self.notes.setdefault(file, []).extend(sentences)

    def idle(self) -> int:
        """Return the number of files without a workload."""
        busy = {each.file for each in self.documents if kind_of(each.group, each.kind)}
        return self.files - len(busy.union(self.unreadable))

    def nothing(self) -> str:
        """Return why there was nothing to check. Empty if there was something."""
        if self.documents or self.unreadable:
            return ""
        held = ", ".join(kind.counted(number) for kind, number in self.passed_over.most_common())
        return NOTHING + (f"only {held}" if held else NO_FILE)


def gather(names: Sequence[str], exclude: Sequence[str] = ()) -> Gathered:
    """
    Read all files and folders. A file that cannot be read does not hide the others.

    Args:
        names: Files, folders, and `-` for standard input.
        exclude: Shell patterns of files and folders to ignore.
    """
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
