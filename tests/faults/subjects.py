"""The registries of the matrix: how an app is told of each, and how long its leases are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Final

from tests.registries.redis import Redis
from tests.registries.server import Server
from tests.registries.zookeeper import ZooKeeper

USER: Final = "shop"
PASSWORD: Final = "correct-horse"
"""It must not be in any log."""


@dataclass(frozen=True)
class Subject:
    """
    A registry.

    Attributes:
        name: Its plugin's name.
        make: Makes the server in a folder, with the account of the app.
        settings: Returns the variables of an app that reaches the server by that port.
        lease: Seconds after which consumers no longer see the entry of a dead process.
        kept: Seconds after which nothing of it is stored.
        notice: Seconds after which the plugin knows that somebody has removed its entry.
        silence: Seconds after which it gives up a connection on which nothing comes.
    """

    name: str
    make: Callable[[Path], Server]
    settings: Callable[[int], Mapping[str, str]]
    lease: float
    kept: float
    notice: float
    silence: float

    @property
    def installed(self) -> bool:
        """Whether its plugin is there."""
        return bool(entry_points(group="lifecycle", name=self.name))


def _redis(port: int) -> Mapping[str, str]:
    return {
        "LIFECYCLE_REDIS_URL": f"redis://{USER}:{PASSWORD}@127.0.0.1:{port}",
        "LIFECYCLE_REDIS_TTL": "5",
    }


def _zookeeper(port: int) -> Mapping[str, str]:
    return {
        "LIFECYCLE_ZOOKEEPER_URL": f"zookeeper://{USER}:{PASSWORD}@127.0.0.1:{port}",
        "LIFECYCLE_ZOOKEEPER_SESSION": "4",
    }


SUBJECTS: Final = (
    Subject(
        name="redis",
        make=lambda folder: Redis(folder, user=USER, password=PASSWORD),
        settings=_redis,
        lease=5.0,
        kept=5.0,
        notice=1.0,
        silence=2.0,
    ),
    Subject(
        name="zookeeper",
        make=lambda folder: ZooKeeper(folder, user=USER, password=PASSWORD),
        settings=_zookeeper,
        lease=4.5,  # the session, and a tick of the server
        kept=4.5,
        notice=0.5,
        silence=3.0,
    ),
)
