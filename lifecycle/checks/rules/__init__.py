"""The rules, by subject."""

from __future__ import annotations

from typing import Final

from lifecycle.checks.rule import Rule
from lifecycle.checks.rules import (
    app_probes,
    documents,
    front_containers,
    launchers,
    managed,
    prestop_hooks,
    probe_answers,
    probes,
    rollout,
    termination,
    unwrapped,
    variables,
    wrapped,
)

RULES: Final[dict[str, Rule]] = {
    rule.name: rule
    for table in (
        termination.RULES,
        prestop_hooks.RULES,
        front_containers.RULES,
        variables.RULES,
        managed.RULES,
        unwrapped.RULES,
        wrapped.RULES,
        launchers.RULES,
        probes.RULES,
        probe_answers.RULES,
        app_probes.RULES,
        rollout.RULES,
        documents.RULES,
    )
    for rule in table
}
