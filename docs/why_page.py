# ruff: noqa: INP001 - beside the script that uses it
"""The generated part of `docs/why.md`: every sentence of `lifecycle fleet why`, and its fix."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from markdown_parts import table

NAMES = {
    "ns": "NAMESPACE",
    "pod": "POD",
    "desired": "REQUIRED",
    "expected": "TOTAL",
    "planned_number": "SECONDS",
}
"""The names of some fields on the page. The others keep their own."""


def why() -> str:
    """Document every rule from its own texts. The rules need none of the plugin's dependencies."""
    source = str(Path(__file__).parents[1] / "plugins" / "fleet" / "src")
    if source not in sys.path:
        sys.path.insert(0, source)
    from lifecycle_fleet.why.caveats import CAVEATS
    from lifecycle_fleet.why.rules import TABLES
    from lifecycle_fleet.why.rules.rollouts import CAUSES, CONSEQUENCES

    parts = []
    for subject, rules in TABLES.items():
        parts += [f"## {subject}\n", *_rules(rules)]
    parts += ["## The rollout does not end\n", *_rules([*CAUSES, *CONSEQUENCES])]
    parts += ["## The evidence is not complete\n", _sentences(CAVEATS)]
    return "\n".join(parts)


def _rules(rules: Iterable[Any]) -> Iterator[str]:
    for rule in rules:
        text = f"{rule.text}\n\n" if rule.text else ""
        yield f"### {rule.name}\n\n**{rule.title}**\n\n{text}{_sentences(rule.sayings)}"


def _sentences(sayings: Iterable[Any]) -> str:
    rows = [
        (_shown(each.sentence) + (" (a note)" if each.note else ""), _fix(each.fix))
        for each in sayings
    ]
    return table("sentence | fix", rows)


def _shown(template: str) -> str:
    def name(found: re.Match[str]) -> str:
        return NAMES.get(found[1], found[1].upper().replace("_", " "))

    named = re.sub(r"(?<!\{)\{(\w+)\}", name, template)
    return named.replace("{{", "{").replace("}}", "}")


def _fix(template: str) -> str:
    shown = _shown(template)
    return f"`{shown}`" if shown.startswith(("kubectl ", "lifecycle ")) else shown
