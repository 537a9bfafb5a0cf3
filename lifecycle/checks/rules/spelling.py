"""The setting that a misspelt variable name stands for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from lifecycle.environment_variables import PREFIX

_LONG: Final = 9
_UNITS: Final = (
    "S", "SEC", "SECS", "SECOND", "SECONDS", "MS", "MILLISECONDS", "MINUTES",
    "TIME", "PERIOD", "DURATION", "DELAY",
)  # fmt: skip
_MEANT: Final = {
    "GRACE": "GRACE_PERIOD",
    "TERMINATION_GRACE_PERIOD": "GRACE_PERIOD",
    "TERMINATION_GRACE_PERIOD_SECONDS": "GRACE_PERIOD",
    "DRAIN_TIMEOUT": "GRACE_PERIOD",
    "SHUTDOWN_TIMEOUT": "GRACE_PERIOD",
    "PORT": "QOS_PORT",
}
"""Names that other programs use for the same setting."""


def intended(name: str, known: Iterable[str]) -> str:
    """
    Return the variable that a misspelt name surely stands for. Empty if it may be another variable.

    The variables of a plugin are called LIFECYCLE_PLUGIN_OPTION, and the plugins of an image are
    not known. So only very close names count. For example, LIFECYCLE_DNS_PORT does not count as a
    misspelt LIFECYCLE_QOS_PORT.

    Args:
        name: The name in the manifest.
        known: The variables that pod-lifecycle reads.
    """
    names = set(known)
    if name in names:
        return ""
    meant = PREFIX + _MEANT.get(name.upper().removeprefix(PREFIX), "")
    if name.upper().startswith(PREFIX) and meant in names:
        return meant
    near = [each for each in sorted(names) if _is_near(name.upper(), each)]
    return min(near, key=lambda each: distance(name.upper(), each), default="")


def _is_near(name: str, known: str) -> bool:
    if _bare(name) == _bare(known):
        return True
    if not name.startswith(PREFIX):  # then the prefix itself is misspelt
        return distance(name, known) <= 2 and _bare(name).endswith(_bare(known)[-4:])
    word, wanted = name.removeprefix(PREFIX), known.removeprefix(PREFIX)
    if word.startswith(f"{wanted}_") and word.removeprefix(f"{wanted}_") in _UNITS:
        return True
    first, first_wanted = (each.partition("_")[0] for each in (word, wanted))
    allowed = 2 if len(wanted) >= _LONG else 1
    return distance(word, wanted) <= allowed and distance(first, first_wanted) <= 1


def _bare(name: str) -> str:
    return "".join(each for each in name if each.isalnum())


def distance(one: str, other: str) -> int:
    """Return the number of letters to add, remove, replace or swap with the next letter."""
    rows = [list(range(len(other) + 1))]
    for at, letter in enumerate(one, start=1):
        row = [at]
        for to, wanted in enumerate(other, start=1):
            best = min(rows[-1][to] + 1, row[-1] + 1, rows[-1][to - 1] + (letter != wanted))
            if at > 1 and to > 1 and one[at - 2] == wanted and letter == other[to - 2]:
                best = min(best, rows[-2][to - 2] + 1)
            row.append(best)
        rows.append(row)
    return rows[-1][-1]
