"""The options of the plugin."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

from lifecycle_zookeeper.url import Address, read_url


class LayoutName(StrEnum):
    """How the entries are written."""

    PLAIN = "plain"
    DUBBO = "dubbo"

    @classmethod
    def _missing_(cls, value: object) -> LayoutName:  # noqa: ARG003 - the core adds it
        raise ValueError("must be plain or dubbo")


class Access(StrEnum):
    """The permissions of the nodes that the plugin creates."""

    OPEN = "open"
    READ = "read"
    CREATOR = "creator"

    @classmethod
    def _missing_(cls, value: object) -> Access:  # noqa: ARG003 - the core adds it
        raise ValueError("must be open, read or creator")


@dataclass(frozen=True)
class Options:
    """
    The options `LIFECYCLE_ZOOKEEPER_*`.

    Args:
        url: The URL of the registry. Empty if there is none.
        layout: How the entries are written.
        session: Seconds after which the entries of a dead process are gone. The server may choose
            another time within its own limits.
        connect_timeout: Seconds that a server may take to open a connection and a session.
        settle: Seconds that clients need to notice that an address is gone. None for the setting
            `settle`, or 7 with the layout `dubbo`.
        application: The name of the application in Dubbo. Empty for the one in the metadata of a
            service, or the name of the service.
        weight: The weight of a provider in Dubbo, unless the metadata of a service has one.
        access: The permissions of the nodes that the plugin creates. None for `open` without a user, and
            `creator` with one.
        password_file: A file with the password, which is read for each connection.
        ca_file: A file with the certificates of the authorities, for `zookeepers://`.
        certificate_file: A file with the client certificate, for `zookeepers://`.
        key_file: A file with the key of the client certificate.

    Raises:
        ValueError: A value is out of range, or two values do not fit together.
    """

    url: str = field(default="", repr=False)
    layout: LayoutName = LayoutName.PLAIN
    session: float = 10.0
    connect_timeout: float = 1.2
    settle: float | None = None
    application: str = ""
    weight: int = 100
    access: Access | None = None
    password_file: str = ""
    ca_file: str = ""
    certificate_file: str = ""
    key_file: str = ""

    def __post_init__(self) -> None:
        if not self.url:
            return
        try:
            address = self.address
        except ValueError as wrong:
            raise ValueError(f"url: {wrong}") from None
        self._check_numbers()
        if address.password and self.password_file:
            raise ValueError("password_file: the url has a password too. Remove one of the two")
        if self.password_file and not address.user:
            raise ValueError("password_file: the url has no user. Write zookeeper://USER@HOST")
        if self.access in (Access.READ, Access.CREATOR) and not (address.user or address.tls):
            raise ValueError(f"access={self.access.value}: needs a user in the url, or TLS")
        if self.application and ("/" in self.application or "," in self.application):
            raise ValueError("application: must not have a slash or a comma")
        for name in ("ca_file", "certificate_file", "key_file"):
            if getattr(self, name) and not address.tls:
                raise ValueError(f"{name}: the url must start with zookeepers://")
        if bool(self.certificate_file) is not bool(self.key_file):
            raise ValueError("certificate_file and key_file: set both, or none of the two")

    def _check_numbers(self) -> None:
        if not 2 <= self.session <= 3600:
            raise ValueError(f"session={self.session!r}: must be from 2 to 3600 seconds")
        if not 0.1 <= self.connect_timeout <= 60:
            raise ValueError(
                f"connect_timeout={self.connect_timeout!r}: must be from 0.1 to 60 seconds"
            )
        if self.settle is not None and not 0 <= self.settle <= 3600:
            raise ValueError(f"settle={self.settle!r}: must be from 0 to 3600 seconds")
        if not 0 <= self.weight <= 10_000:
            raise ValueError(f"weight={self.weight!r}: must be from 0 to 10000")

    @property
    def enabled(self) -> bool:
        """True if there is a registry."""
        return bool(self.url)

    @cached_property
    def address(self) -> Address:
        """The address of the registry."""
        return read_url(self.url)

    @property
    def notice(self) -> float | None:
        """Seconds that clients need to notice that an address is gone. None for the setting."""
        if self.settle is None and self.layout is LayoutName.DUBBO:
            return 7.0
        return self.settle

    @property
    def rights(self) -> Access:
        """The permissions of the nodes that the plugin creates."""
        if self.access is not None:
            return self.access
        return Access.CREATOR if self.address.user else Access.OPEN
