# ruff: noqa: INP001 - beside the script that uses it
"""Markdown of tables and of docstrings, for the generated parts of the documentation."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable


def table(header: str, rows: Iterable[Iterable[object]]) -> str:
    """Make a Markdown table. `header` is split at bars."""
    lines = [[cell.strip() for cell in header.split("|")]]
    lines.append(["---"] * len(lines[0]))
    lines += [[str(cell).replace("|", "\\|") for cell in row] for row in rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def prose(docstring: str | None) -> str:
    """Turn a docstring into Markdown: its sections become lists, what it returns a paragraph."""
    out: list[str] = []
    in_section = items = False
    for line in inspect.cleandoc(docstring or "").splitlines():
        if line in ("Args:", "Returns:", "Raises:", "Attributes:"):
            in_section, items = True, line != "Returns:"  # which is one text
            out.append(f"*{line}*\n")
        elif in_section and line.startswith("    ") and not line.startswith("     "):
            item = re.sub(r"^(\w+): ", r"`\1`: ", line.strip())
            out.append(f"- {item}" if items else line.strip())
        elif in_section and line.startswith("        "):
            out.append(f"  {line.strip()}")
        else:
            in_section = in_section and not line
            out.append(line)
    return "\n".join(out).strip() + "\n"
