"""
Every file under `shapes/`, with what must be found in it.

To add a shape, write `tests/checks/shapes/GROUP/NAME.yaml`. Write the manifest yourself, and whole: a
Deployment has a selector, and a container an image, because without them it is taken for a patch.
Above it stands what `lifecycle check` must say, one comment for each finding, in any order:

    # expect: error probe-port
    # expect: warning one-replica

`# expect: nothing` is for a file in which nothing may be found. What is not a finding is written with
a part of its sentence: `# expect: unreadable must be a number`, `# expect: note there is no rule`.
A file without an expectation fails, and so does one in which more is found than it expects.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.checks.kit import Said, look

SHAPES = Path(__file__).with_name("shapes")
FILES = sorted(SHAPES.glob("*/*.yaml"))
EXPECT = re.compile(r"^# expect: +(.+?) *$", re.MULTILINE)


@pytest.mark.parametrize("file", FILES, ids=[str(each.relative_to(SHAPES)) for each in FILES])
def test_a_shape(file: Path) -> None:
    """In each file there is found what its first lines say, and nothing else."""
    wanted = EXPECT.findall(file.read_text())
    assert wanted, "it says nothing: write `# expect: nothing`, or what must be found"

    assert _unmet(wanted, look(str(file))) == ([], [])


def _unmet(wanted: list[str], said: Said) -> tuple[list[str], list[str]]:
    """Return what was expected and is not there, and what is there and was not expected."""
    more = [
        *said.findings,
        *(f"unreadable {sentence}" for sentence in said.unreadable),
        *(f"note {sentence}" for sentence in said.notes),
    ]
    missing = []
    for each in wanted:
        kind, _, part = each.partition(" ")
        meets = (
            (lambda one, e=each: one == e)
            if kind in ("error", "warning")
            else (lambda one, k=kind, p=part: one.startswith(f"{k} ") and p in one)
        )
        found = next((one for one in more if meets(one)), None)
        if found is not None:
            more.remove(found)
        elif each != "nothing":
            missing.append(each)
    return missing, more
