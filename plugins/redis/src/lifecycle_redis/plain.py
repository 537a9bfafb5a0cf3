"""The layout `plain`: one key for each service, with JSON as its value. The key expires."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Final

import lifecycle
from lifecycle_redis.layout import Command, Entry
from lifecycle_redis.scripts import script

PREFIX: Final = "lifecycle"

PUT: Final = script("plain_put")
REFRESH: Final = script("plain_refresh")
REMOVE: Final = script("plain_remove")


class Plain:
    """
    The layout.

    Args:
        owner: A random text that only this process has.
        lease: Seconds until an entry expires.
        namespace: The namespace of the entries.
    """

    def __init__(self, owner: str, lease: float, namespace: str) -> None:
        self._owner = f'"owner":{json.dumps(owner)},'
        self._name = owner
        self._lease = round(lease * 1000)
        self._namespace = namespace

    def probe(self) -> Command:
        """Delete a key that never exists."""
        return ("DEL", f"{PREFIX}:{self._namespace}:probe")

    def entry(self, instance: lifecycle.Instance) -> Entry:
        value = {
            "owner": self._name,
            "host": instance.host,
            "port": instance.port,
            "service": instance.service,
            "id": instance.id,
            "protocol": instance.protocol,
            "version": instance.version,
            "metadata": dict(instance.metadata),
        }
        where = {name: value[name] for name in ("host", "port")}
        return Entry(
            service=instance.service,
            key=f"{PREFIX}:{self._namespace}:{instance.service}:{instance.id}",
            value=_dump(value),
            # With the comma, so that port 80 is not found in port 8080.
            address=_dump(where).strip("{}") + ",",
        )

    def put(self, entry: Entry, *, take_over: bool) -> Command:
        address = entry.address if take_over else ""
        return ("EVAL", PUT, 1, entry.key, entry.value, self._lease, self._owner, address)

    def refresh(self, entries: Sequence[Entry]) -> Command:
        keys = [each.key for each in entries]
        digests = [hashlib.sha1(each.value.encode()).hexdigest() for each in entries]  # noqa: S324 - to compare
        return ("EVAL", REFRESH, len(keys), *keys, self._lease, *digests)

    def remove(self, entry: Entry) -> Command:
        return ("EVAL", REMOVE, 1, entry.key, self._owner)


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
