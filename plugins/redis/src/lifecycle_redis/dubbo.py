"""
The layout `dubbo`: what the Redis registry of dubbo-spi-extensions writes, at interface level.

The key of an interface is a hash. Each field is the URL of one provider, and its value is the time
at which the provider expires, in milliseconds since the epoch. Clients compare it with their own
clock. The server never removes a field of a dead process.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import Final

import lifecycle
from lifecycle_redis.layout import Command, Entry
from lifecycle_redis.scripts import script
from lifecycle_redis.text import one_line

PROTOCOL: Final = "tri"
"""The protocol of a service that was exported without one."""
OWN: Final = ("interface", "pid", "side", "timestamp", "dubbo", "dynamic", "category")
"""Parameters that the metadata of a service cannot replace."""

PUT: Final = script("dubbo_put")
REFRESH: Final = script("dubbo_refresh")
REMOVE: Final = script("dubbo_remove")


class Dubbo:
    """
    The layout.

    Args:
        lease: Seconds until an entry expires for its readers.
        root: The first part of the keys, which is the `group` of the registry in Dubbo.
        clock: The seconds since the epoch.
    """

    def __init__(
        self, lease: float, root: str = "dubbo", clock: Callable[[], float] = time.time
    ) -> None:
        self._lease = lease
        self._root = root or "dubbo"
        self._clock = clock
        self._started = round(clock() * 1000)

    def probe(self) -> Command:
        """Delete a key that never exists."""
        return ("DEL", f"/{self._root}/lifecycle.probe")

    def entry(self, instance: lifecycle.Instance) -> Entry:
        if instance.port is None:
            raise lifecycle.RegistrationRefused(
                f"{instance.service} has no port, and a provider of Dubbo needs one. Pass `port` "
                "to export",
                see="errors.md#redis-failed",
            )
        _check(instance)
        host = f"[{instance.host}]" if ":" in instance.host else instance.host
        start = f"{instance.protocol or PROTOCOL}://{host}:{instance.port}/{instance.service}?"
        given = {name: value for name, value in instance.metadata.items() if name not in OWN}
        if instance.version:
            given["version"] = instance.version
        parameters = {
            "application": instance.service,
            "deprecated": "false",
            "generic": "false",
            **given,
            "category": "providers",
            "dubbo": "2.0.2",
            "dynamic": "true",
            "interface": instance.service,
            "pid": str(os.getpid()),
            "side": "provider",
            "timestamp": str(self._started),
        }
        query = "&".join(f"{name}={parameters[name]}" for name in sorted(parameters))
        return Entry(
            service=instance.service,
            key=f"/{self._root}/{instance.service}/providers",
            value=start + query,
            address=start,
        )

    def put(self, entry: Entry, *, take_over: bool) -> Command:
        address = entry.address if take_over else ""
        return ("EVAL", PUT, 1, entry.key, entry.value, self._expiry(), address)

    def refresh(self, entries: Sequence[Entry]) -> Command:
        keys, fields = [each.key for each in entries], [each.value for each in entries]
        return ("EVAL", REFRESH, len(keys), *keys, self._expiry(), *fields)

    def remove(self, entry: Entry) -> Command:
        return ("EVAL", REMOVE, 1, entry.key, entry.value)

    def _expiry(self) -> int:
        return round((self._clock() + self._lease) * 1000)


def _check(instance: lifecycle.Instance) -> None:
    """Refuse metadata that would change the other parameters of the URL, or be cut by clients."""
    for name, value in instance.metadata.items():
        cut = name not in OWN and name.endswith(("pid", "timestamp"))
        if cut or any(each in name + value for each in "&=# ") or not (name + value).isprintable():
            raise lifecycle.RegistrationRefused(
                f"metadata of {instance.service}: {one_line(name, 100)!r} cannot be a part of the "
                "URL of a provider",
                see="errors.md#redis-failed",
            )
