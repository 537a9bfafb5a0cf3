"""A rule, and what it finds."""

from __future__ import annotations

import enum
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from lifecycle.checks.node import Node
from lifecycle.checks.workloads.workload import Workload

DOCS: Final = "https://kubernetes.io/docs"
HOOKS: Final = f"{DOCS}/concepts/containers/container-lifecycle-hooks/"
TERMINATION: Final = f"{DOCS}/concepts/workloads/pods/pod-termination/"
PROBES: Final = f"{DOCS}/tasks/configure-pod-container/configure-liveness-readiness-startup-probes/"
UVICORN: Final = "https://github.com/Kludex/uvicorn/pull/2414"


class Severity(enum.StrEnum):
    """How bad it is: only an error makes the command fail."""

    ERROR = "error"
    WARNING = "warning"


class Found(NamedTuple):
    """
    Where a rule is broken, and how.

    Attributes:
        node: The place.
        message: What is wrong there.
        severity: If it is not the rule's own.
        container: Whose name it is about, if the place is not in that container.
    """

    node: Node
    message: str
    severity: Severity | None = None
    container: str = ""


Finder = Callable[[Workload], Iterator[Found]]


@dataclass(frozen=True)
class Rule:
    """
    What is looked for.

    Attributes:
        name: As reports and annotations name it.
        severity: Of what it finds, at worst.
        title: What is wrong, in a line.
        why: What happens.
        sources: Where that is written or was met: pages of Kubernetes' documentation, issues, or a
            page beside `docs/checks.md`.
        fix: What to do.
        find: Looks for it.
    """

    name: str
    severity: Severity
    title: str
    why: str
    sources: tuple[str, ...]
    fix: str
    find: Finder


@dataclass(frozen=True)
class Finding:
    """One place where a rule is broken."""

    rule: Rule
    severity: Severity
    file: str
    line: int | None
    path: str
    object: str
    message: str


class Table(list[Rule]):
    """The rules of one subject. A function's docstring says what is wrong, and why."""

    def add(
        self, name: str, severity: Severity, *, sources: tuple[str, ...], fix: str
    ) -> Callable[[Finder], Finder]:
        """Make a rule of a function."""

        def register(find: Finder) -> Finder:
            title, _, why = inspect.cleandoc(find.__doc__ or "").partition("\n\n")
            self.append(Rule(name, severity, title, why, sources, fix, find))
            return find

        return register
