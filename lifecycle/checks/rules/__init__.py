"""The rules, by subject."""

from __future__ import annotations

from typing import Final

from lifecycle.checks.rule import Rule
from lifecycle.checks.rules import (
    answers,
    documents,
    fronts,
    hooks,
    launchers,
    managed,
    probes,
    rollout,
    termination,
    variables,
)

RULES: Final[dict[str, Rule]] = {
    rule.name: rule
    for table in (
        termination.RULES,
        hooks.RULES,
        fronts.RULES,
        variables.RULES,
        managed.RULES,
        launchers.RULES,
        probes.RULES,
        answers.RULES,
        rollout.RULES,
        documents.RULES,
    )
    for rule in table
}
