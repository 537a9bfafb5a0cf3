"""Rules, and what they find."""

from __future__ import annotations

import enum
import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from lifecycle.checks.node import Node
from lifecycle.checks.workloads.workload import Workload
from lifecycle.links import docs_page

DOCS: Final = "https://kubernetes.io/docs"
HOOKS: Final = f"{DOCS}/concepts/containers/container-lifecycle-hooks/"
TERMINATION: Final = f"{DOCS}/concepts/workloads/pods/pod-termination/"
PROBES: Final = f"{DOCS}/tasks/configure-pod-container/configure-liveness-readiness-startup-probes/"
WRAP: Final = (
    "Put `lifecycle run --service NAME:PORT --` in front of the command, and install pod-lifecycle "
    "in the image."
)
"""The first step of a fix for an app that does not run under pod-lifecycle."""

UVICORN: Final = "https://github.com/Kludex/uvicorn/pull/2414"
_NOTES: Final = re.compile(r"^(Severity|Scope):\n", re.MULTILINE)


class Severity(enum.StrEnum):
    """Severity of a finding. Only errors make the command fail."""

    ERROR = "error"
    WARNING = "warning"


class Found(NamedTuple):
    """
    A place where a rule is broken, and how.

    Attributes:
        node: The place in the manifest.
        message: The problem at that place.
        severity: The severity at that place. If None, the severity of the rule holds.
        container: The container that the finding is about. Only needed if the place is not inside
            that container.
        fix: How to fix the problem at that place. If empty, the fix of the rule holds.
    """

    node: Node
    message: str
    severity: Severity | None = None
    container: str = ""
    fix: str = ""


Finder = Callable[[Workload], Iterator[Found]]


@dataclass(frozen=True)
class Rule:
    """
    One thing that `lifecycle check` looks for.

    Attributes:
        name: Name of the rule, as in reports and annotations.
        severity: The worst severity of its findings.
        title: The problem, in one sentence.
        why: The consequences of the problem.
        severity_note: When a finding has another severity. May be empty.
        scope: Limits of the rule, and the cases that it ignores. May be empty.
        sources: Where the problem is described. Each is an address, or a page in `docs/`.
        fix: How to fix the problem.
        plain_fix: How to fix the problem in an app that does not run under pod-lifecycle. If
            empty, `fix` applies to every app.
        find: The function that looks for the problem.
    """

    name: str
    severity: Severity
    title: str
    why: str
    severity_note: str
    scope: str
    sources: tuple[str, ...]
    fix: str
    plain_fix: str
    find: Finder

    @property
    def page(self) -> str:
        """The address of the section about this rule."""
        return docs_page(f"checks.md#{self.name}")

    @property
    def addresses(self) -> tuple[str, ...]:
        """The sources, with an address for each page in `docs/`."""
        return tuple(
            each if each.startswith("https:") else docs_page(each) for each in self.sources
        )


@dataclass(frozen=True)
class Finding:
    """
    A place where a rule is broken, as reports show it.

    Attributes:
        rule: The broken rule.
        severity: The severity at this place.
        file: The file of the manifest.
        line: The line in the file, from 1. None if it is not known.
        path: The path of the field in the document.
        object: Kind and name of the workload, for example `Deployment/orders`.
        message: The problem at this place.
        fix: How to fix the problem in this workload.
    """

    rule: Rule
    severity: Severity
    file: str
    line: int | None
    path: str
    object: str
    message: str
    fix: str


class Table(list[Rule]):
    """
    The rules of one subject.

    The docstring of a rule's function is the rule's text. The first paragraph is the title. The
    rest is the reason, up to the optional sections `Severity:` and `Scope:`.
    """

    def add(
        self,
        name: str,
        severity: Severity,
        *,
        sources: tuple[str, ...],
        fix: str,
        plain_fix: str = "",
    ) -> Callable[[Finder], Finder]:
        """
        Turn a function into a rule of this table.

        Args:
            name: Name of the rule.
            severity: The worst severity of its findings.
            sources: Where the problem is described.
            fix: How to fix the problem.
            plain_fix: How to fix the problem in an app that does not run under pod-lifecycle.

        Returns:
            A decorator that adds the rule and returns the function unchanged.
        """

        def register(find: Finder) -> Finder:
            title, _, text = inspect.cleandoc(find.__doc__ or "").partition("\n\n")
            why, *rest = _NOTES.split(text)
            notes = {
                head: inspect.cleandoc(f"\n{body}")
                for head, body in zip(rest[::2], rest[1::2], strict=True)
            }
            self.append(
                Rule(
                    name,
                    severity,
                    title,
                    why.strip(),
                    notes.get("Severity", ""),
                    notes.get("Scope", ""),
                    sources,
                    fix,
                    plain_fix,
                    find,
                )
            )
            return find

        return register
