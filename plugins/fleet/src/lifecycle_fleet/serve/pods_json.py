"""`/pods.json`: all pods, or those of a namespace or a workload, as `ls -o json` prints them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from urllib.parse import parse_qsl

from lifecycle_fleet.listing.printing import VERSION
from lifecycle_fleet.serve.answers import (
    INERT,
    JSON,
    NO_STORE,
    Receive,
    Scope,
    Send,
    refused,
    start,
)
from lifecycle_fleet.serve.fleet import Fleet
from lifecycle_fleet.view.listing import in_order

FILTERS: Final = ("namespace", "workload")
PART: Final = 200
"""Pods that are sent at a time."""
BAD_QUERY: Final = refused(400, "The query may have namespace=NAME and workload=NAME only")


class PodsPage:
    """
    The pods.

    Args:
        fleet: The pods.
    """

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    async def answer(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Answer a request. A slow reader gets the pods that are there when it reads on."""
        head = scope["method"] == "HEAD"
        try:
            wanted = _filters(scope["query_string"])
        except ValueError:
            await BAD_QUERY.send(send, head=head)
            return
        await start(send, 200, JSON, (NO_STORE, INERT))
        if not head:
            for part in self._parts(wanted):
                await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    def _parts(self, wanted: dict[str, str]) -> Iterator[bytes]:
        rows = self._fleet.rows
        keys = [(each.namespace, each.name) for each in in_order(row.pod for row in rows.values())]
        before = b'{"version":%d,"pods":[' % VERSION
        for at in range(0, len(keys), PART):
            found = [
                row.json
                for key in keys[at : at + PART]
                if (row := rows.get(key)) is not None
                and all(getattr(row.pod, name) == value for name, value in wanted.items())
            ]
            if found:
                yield before + b",".join(found)
                before = b","
        yield (before if before != b"," else b"") + b"]}\n"


def _filters(query: bytes) -> dict[str, str]:
    """Return what is asked for. Raises ValueError for anything else."""
    pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, max_num_fields=10)
    found = dict(pairs)
    if len(found) < len(pairs) or not found.keys() <= set(FILTERS):
        raise ValueError(query)
    return found
