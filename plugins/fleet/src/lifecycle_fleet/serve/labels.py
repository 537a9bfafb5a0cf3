"""
The names of workloads as labels of metrics. Pure.

A cluster always makes new names, for example a new Job for each run of a CronJob. The number of
labels must not grow with them. So all runs have one label, and there is a limit.
"""

from __future__ import annotations

import re
from typing import Final

Workload = tuple[str, str]
"""Namespace and workload, for example `("shop", "deploy/orders")`."""

RUN: Final = re.compile(r"(job/.*)-[0-9]{8,}")
"""The Job of a CronJob: its name, and the minutes since the epoch."""
LONGEST: Final = 200
"""Characters of a label."""
MOST: Final = 1000
"""Workloads with labels of their own."""
OTHER: Final[Workload] = ("", "other")
"""The labels of all workloads beyond the limit."""


class Labels:
    """
    The labels of workloads. The first ones get their own.

    Args:
        most: How many of them.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._known: set[Workload] = set()

    def of(self, workload: Workload) -> Workload:
        """Return the labels of a workload: its namespace and its name, or those of the rest."""
        found = workload[0], label(workload[1])
        if found not in self._known:
            if len(self._known) >= self._most:
                return OTHER
            self._known.add(found)
        return found


def label(workload: str) -> str:
    """Return the label of a workload. All runs of a CronJob have the same label."""
    match = RUN.fullmatch(workload)
    return (f"{match[1]}-*" if match else workload)[:LONGEST]
