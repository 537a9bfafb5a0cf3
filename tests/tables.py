"""What tests have recorded, as a table at the end of the run."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import tabulate


def report(
    terminalreporter: pytest.TerminalReporter, name: str, header: Sequence[str], texts: int
) -> None:
    """
    Write the rows that tests have recorded, if there are any.

    Args:
        terminalreporter: Where to.
        name: Of the property that holds some rows; the section's title.
        header: What stands above the columns.
        texts: How many of them are text; the others are aligned to the right.
    """
    reports = (each for some in terminalreporter.stats.values() for each in some)
    rows = [
        row
        for report in reports
        if getattr(report, "when", "") == "call"
        for given, some in report.user_properties
        if given == name
        for row in some
    ]
    if not rows:
        return
    terminalreporter.section(name)
    align = ("left",) * texts + ("right",) * (len(header) - texts)
    terminalreporter.write_line(
        tabulate.tabulate(rows, header, tablefmt="plain", disable_numparse=True, colalign=align)
    )
