"""Numbers of bytes, in the notation of Kubernetes and for people."""

from __future__ import annotations

from typing import Final

_UNITS: Final = {
    "": 1,
    "k": 10**3,
    "M": 10**6,
    "G": 10**9,
    "T": 10**12,
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
    "Ti": 2**40,
}


def read_bytes(text: str) -> int:
    """
    Read `512Mi`, `1.5Gi`, `2G` or a number of bytes.

    Raises:
        ValueError: The text has another form.
    """
    number = text.rstrip("kMGTi")
    unit = text[len(number) :]
    try:
        value = float(number) * _UNITS[unit]
    except (KeyError, ValueError):
        value = -1.0
    if not 0 <= value < float("inf"):
        raise ValueError(f"{text!r}: must be a number of bytes, like 1073741824, 512Mi, 1Gi or 2G")
    return int(value)


def show_bytes(value: int) -> str:
    """Return bytes as text in the largest possible unit, for example `1.5 GiB`."""
    for unit, size in (("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if value >= size:
            return (
                f"{value / size:.4g} {unit}"
                if value < 1000 * size
                else f"{value / size:.0f} {unit}"
            )
    return f"{value} B"
