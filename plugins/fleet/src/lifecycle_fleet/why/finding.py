"""
The sentences of a rule, and its findings.

Rules of this file:

1. Every sentence that people can read is a `Saying` of a rule. A page of the documentation lists
   all of them, so a finding cannot contain another sentence.
2. A sentence states a fact. If the evidence allows two causes, the sentence names both.
3. Each text that comes from the cluster stays on one line.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from typing import Final, Generic, NamedTuple, TypeVar

from lifecycle_fleet.why.fix import rendered, shown
from lifecycle_fleet.why.reading import words

T = TypeVar("T")

PAGE: Final = "why.md"


class Saying(NamedTuple):
    """
    A sentence that a rule can say.

    Attributes:
        sentence: The problem, with a field for each part that differs.
        fix: A command or a line of YAML, or a sentence, with fields too. See `fix` for what a
            command may contain.
        note: Whether it is only worth knowing, and nothing is wrong.
    """

    sentence: str
    fix: str
    note: bool = False

    def found(self, *evidence: str, **fields: object) -> Found:
        """Return the sentence with its evidence."""
        return Found(
            self,
            " ".join(self.sentence.format_map(shown(fields)).split()),
            rendered(self.fix, fields),
            tuple(words(each) for each in evidence if each),
        )


class Found(NamedTuple):
    """
    A problem that a rule has found.

    Attributes:
        saying: The sentence, with its fields.
        sentence: The problem.
        fix: The way to fix it.
        evidence: The places that show it, as events and paths of fields.
        past: Whether the problem was over when the facts were read, so it is only worth knowing.
    """

    saying: Saying
    sentence: str
    fix: str
    evidence: tuple[str, ...]
    past: bool = False

    @property
    def note(self) -> bool:
        """Whether it is only worth knowing."""
        return self.past or self.saying.note


class Rule(NamedTuple, Generic[T]):
    """
    One rule.

    Attributes:
        name: Its name, which is the anchor of its section on the page.
        title: The problem, as a heading.
        text: The explanation for the page.
        sayings: The sentences that it can say.
        find: Looks for the problem.
        alone: Whether it is only asked if no rule before it has found anything, because its
            findings are consequences of any other.
        aside: Whether its findings do not explain why a pod is not ready or not gone.
    """

    name: str
    title: str
    text: str
    sayings: tuple[Saying, ...]
    find: Callable[[T], Iterable[Found]]
    alone: bool = False
    aside: bool = False


class Finding(NamedTuple):
    """
    A problem that a rule has found, with the rule.

    Attributes:
        rule: The name of the rule.
        rank: The place of the rule among all rules. A cause has a lower rank than its consequences.
        sentence: The problem.
        fix: The way to fix it.
        evidence: The places that show it.
        note: Whether it is only worth knowing.
        pods: The names of the pods that it is about. Only set for a Deployment.
    """

    rule: str
    rank: int
    sentence: str
    fix: str
    evidence: tuple[str, ...]
    note: bool = False
    pods: tuple[str, ...] = ()

    @property
    def page(self) -> str:
        """The section of the documentation, in `docs/`."""
        return f"{PAGE}#{self.rule}"


class Table(list[Rule[T]]):
    """The rules of one subject, in the order of their ranks."""

    def add(
        self, name: str, *sayings: Saying, alone: bool = False, aside: bool = False
    ) -> Callable[[Callable[[T], Iterator[Found]]], Callable[[T], Iterator[Found]]]:
        """
        Turn a function into a rule of this table.

        The first paragraph of its docstring is the heading, and the rest is the explanation.

        Args:
            name: The name of the rule.
            sayings: The sentences that it can say.
            alone: Whether it is only asked if no rule before it has found anything.
            aside: Whether its findings do not explain why a pod is not ready or not gone.
        """

        def register(
            find: Callable[[T], Iterator[Found]],
        ) -> Callable[[T], Iterator[Found]]:
            title, _, text = inspect.cleandoc(find.__doc__ or "").partition("\n\n")
            self.append(Rule(name, title.rstrip("."), text.strip(), sayings, find, alone, aside))
            return find

        return register


def findings(rules: Iterable[Rule[T]], facts: T) -> tuple[Finding, ...]:
    """Return what the rules find, the cause before its consequences."""
    found: list[Finding] = []
    explained = False
    for rank, rule in enumerate(rules):
        if rule.alone and explained:
            continue
        new = [
            Finding(rule.name, rank, each.sentence, each.fix, each.evidence, each.note)
            for each in rule.find(facts)
        ]
        explained |= not rule.aside and any(not each.note for each in new)
        found += new
    return tuple(found)
