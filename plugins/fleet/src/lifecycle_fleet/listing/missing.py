"""Columns that cannot be shown, because a right is missing."""

from __future__ import annotations

import sys
from typing import Final

from lifecycle_fleet.cluster.failures import FORBIDDEN
from lifecycle_fleet.cluster.kinds import EVENT, SLICE, Kind
from lifecycle_fleet.errors import ApiServerError
from lifecycle_fleet.view.listing import Listing

HOOK_FAILED: Final = "reason=FailedPreStopHook"
"""The field selector of the Events that are needed."""
COLUMNS: Final = {SLICE: "IN-SLICES", EVENT: "LAST-DRAIN"}
"""The column that needs a kind."""


def say_missing(error: ApiServerError, kind: Kind, namespace: str, listing: Listing) -> None:
    """
    Note that a kind is not known, and say which column and which right are missing.

    Raises:
        ApiServerError: The failure has another reason.
    """
    if error.state != FORBIDDEN:
        raise error
    if kind == SLICE:
        listing.endpoints = None
    else:
        listing.hooks = None
    where = f"in the namespace {namespace}" if namespace else "in all namespaces"
    group = f" ({kind.group})" if kind.group else ""
    print(
        f"lifecycle: the column {COLUMNS[kind]} shows ?, because you may not list and watch "
        f"{kind.plural}{group} {where}",
        file=sys.stderr,
    )
