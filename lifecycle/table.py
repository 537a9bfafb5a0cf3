"""Tables for people, in plain text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lifecycle.plain import one_line


def table(header: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    """Lay out rows under a header; each cell stays on its line, whatever is in it."""
    import tabulate  # only who shows one pays for it

    shown = [[one_line(c) if isinstance(c, str) else c for c in row] for row in rows]
    return str(tabulate.tabulate(shown, header, tablefmt="plain"))
