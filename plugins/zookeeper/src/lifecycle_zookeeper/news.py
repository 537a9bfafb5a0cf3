"""The news that a client sends to the loop."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from lifecycle_zookeeper.errors import ZooKeeperFailed


class Connected(NamedTuple):
    """
    There is a connection, and the server has opened or continued a session.

    Attributes:
        session: The id of the session.
    """

    session: int


class Failed(NamedTuple):
    """There is no connection. The client tries again."""

    error: ZooKeeperFailed


class Dead(NamedTuple):
    """The client has ended for good."""

    error: ZooKeeperFailed


class Touched(NamedTuple):
    """A node was changed or removed."""

    path: str


News: TypeAlias = Connected | Failed | Dead | Touched
