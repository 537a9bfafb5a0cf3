"""The quick part of the matrix. `make faults` plays all of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.cell import Cell
from tests.faults.faults import FAULTS, State
from tests.faults.subjects import SUBJECTS
from tests.registries.building import LONGEST

pytestmark = pytest.mark.timeout(LONGEST)
SHORT = 1.5
"""Seconds that a fault lasts here."""
QUICK = {
    ("cut", State.REGISTERING),
    ("isolated", State.BEFORE),
    ("silence", State.READY),
    ("wiped", State.READY),
    ("revoked", State.READY),
    ("taken", State.DRAINING),
    ("killed", State.DRAINING),
    ("dead", State.READY),
}
CELLS = [
    pytest.param(
        Cell(subject, fault, state, SHORT), id=f"{subject.name}-{fault.name}-{state.name.lower()}"
    )
    for subject in SUBJECTS
    if subject.installed
    for fault in FAULTS
    for state in State
    if (fault.name, state) in QUICK
]


@pytest.mark.parametrize("cell", CELLS)
def test_a_cell_of_the_matrix(cell: Cell, tmp_path: Path) -> None:
    cell.play(tmp_path)
