"""The table: columns that fit, ages, widths."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifecycle_fleet.view.pod import view
from lifecycle_fleet.view.table import COLUMNS, GAP, Table, fitting
from lifecycle_fleet.view.text import age, printable_lines, width

from plugins.fleet.tests.objects import pod, told

NARROW = [each for each in COLUMNS if not each.wide]


@given(
    widths=st.lists(st.integers(1, 30), min_size=1, max_size=12),
    limit=st.integers(0, 120),
    data=st.data(),
)
def test_columns_that_fit(widths: list[int], limit: int, data: st.DataObject) -> None:
    """All are kept without a limit. Else the line fits, or only what is always needed is kept."""
    ranks = data.draw(st.lists(st.integers(0, 5), min_size=len(widths), max_size=len(widths)))

    kept = fitting(ranks, widths, limit)

    assert kept == sorted({*kept})
    assert {at for at, rank in enumerate(ranks) if rank == 0} <= {*kept}
    length = len(GAP.join("x" * widths[at] for at in kept))
    if limit:
        assert length <= limit or all(ranks[at] == 0 for at in kept)
        for at in {*range(len(widths))} - {*kept}:  # nothing else fits
            assert length + len(GAP) * bool(kept) + widths[at] > limit
    else:
        assert len(kept) == len(widths)


@given(
    names=st.lists(st.text("abc-", min_size=1, max_size=63), min_size=1, max_size=5, unique=True),
    limit=st.integers(40, 200),
)
def test_each_pod_is_one_line_under_its_titles(names: list[str], limit: int) -> None:
    """Every cell begins under its title, whatever the names are, with and without colours."""
    pods = [view(pod(each, annotation=told())) for each in names]
    table = Table(pods, 0.0, NARROW, limit=limit)
    head = table.head()

    for each in pods:
        line = table.line(each, 0.0)
        for column in table.columns:
            start = head.index(column.title)
            assert line[start:].startswith(column.text(each, 0.0))


def test_wide_letters_take_two_columns() -> None:
    """Letters of China are wide, and accents of their own take no space."""
    assert [width(each) for each in ("abc", "订单", "e\u0301")] == [3, 4, 1]


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-5, "0s"),
        (0.9, "0s"),
        (119, "119s"),
        (120, "2m"),
        (303, "5m3s"),
        (600, "10m"),
        (10799, "179m"),
        (10800, "3h"),
        (11100, "3h5m"),
        (28800, "8h"),
        (172799, "47h"),
        (172800, "2d"),
        (187200, "2d4h"),
        (700000, "8d"),
    ],
)
def test_an_age_is_written_as_by_kubectl(seconds: float, shown: str) -> None:
    """The second unit is only there while it says something."""
    assert age(seconds) == shown


@given(text=st.text())
def test_foreign_text_does_nothing_to_a_terminal(text: str) -> None:
    """Each line is printable, and the lines stay lines."""
    shown = printable_lines(text)

    assert shown.replace("\n", "").isprintable()
    assert shown.count("\n") == max(0, len(text.splitlines()) - 1)
